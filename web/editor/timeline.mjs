// The strip below the view: how fast the path moves and turns over time, its keys, and where the playhead stands.

import { drawKeyMark } from "./draw.mjs";
import { nearestPixel } from "./view.mjs";

const MARGIN = 10;
const KEY_ROW = 12;
const TRAVEL_COLOR = "#4fa3ff";
const TURN_COLOR = "#ff9f5a";

/** The x of a share of the clip in a strip of `width` pixels. */
export function xOfTime(time, width) {
  return MARGIN + time * (width - 2 * MARGIN);
}

/** The share of the clip at an x, kept inside the clip. */
export function timeOfX(x, width) {
  return Math.min(Math.max((x - MARGIN) / (width - 2 * MARGIN), 0), 1);
}

/** The key whose mark is at a pixel of the strip, or -1. */
export function keyAtPixel(plan, pixel, width) {
  return nearestPixel(plan.keys.map(({ time }) => [xOfTime(time, width), KEY_ROW]), pixel, 9);
}

export function drawTimeline(ctx, [width, height], scene, now) {
  const last = Math.max(scene.centers.length - 1, 1);
  const base = height - 5;
  ctx.strokeStyle = now.palette.grid;
  ctx.lineWidth = 1;
  ctx.strokeRect(MARGIN + 0.5, 4.5, width - 2 * MARGIN - 1, height - 9);
  const box = { width, top: KEY_ROW + 24, base };
  drawCurve(ctx, scene.speeds.travel, { ...box, least: 1e-3 * scene.depth }, TRAVEL_COLOR, true);
  drawCurve(ctx, scene.speeds.turn, { ...box, least: 0.1 }, TURN_COLOR, false);
  const x = xOfTime(now.frame / last, width);
  ctx.fillStyle = now.palette.text;
  ctx.fillRect(x - 0.75, 4, 1.5, height - 8);
  scene.plan.keys.forEach(({ time }, number) => {
    drawKeyMark(ctx, [xOfTime(time, width), KEY_ROW], number === now.key);
  });
}

/** The two speeds at a frame, in words. */
export function speedWords(scene, frame, unit) {
  const index = Math.min(frame, scene.speeds.travel.length - 1);
  if (index < 0) return ["stands still", ""];
  const words = { metre: "m/s", near_depth: "depth/s", arbitrary: "/s" };
  const travel = scene.speeds.travel[index].toFixed(2);
  return [`${travel} ${words[unit] ?? "/s"}`, `${scene.speeds.turn[index].toFixed(1)} °/s`];
}

function drawCurve(ctx, values, { width, top, base, least }, color, filled) {
  if (!values.length) return;
  const highest = Math.max(...values, least);
  const count = values.length;
  ctx.beginPath();
  values.forEach((value, index) => {
    const x = xOfTime((index + 0.5) / count, width);
    ctx.lineTo(x, base - (value / highest) * (base - top));
  });
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.5;
  ctx.stroke();
  if (!filled) return;
  ctx.lineTo(xOfTime(1 - 0.5 / count, width), base);
  ctx.lineTo(xOfTime(0.5 / count, width), base);
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = color;
  ctx.fill();
  ctx.globalAlpha = 1;
}

export const SPEED_COLORS = { travel: TRAVEL_COLOR, turn: TURN_COLOR };
