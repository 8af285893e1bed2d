// The strip below the view: how fast the path moves and turns over time, its shots and keys, and where the playhead stands.

import { drawKeyMark } from "./draw.mjs";
import { spread } from "./speeds.mjs";
import { nearestPixel } from "./view.mjs";
import { said } from "./words.mjs";

const MARGIN = 10;
const KEY_ROW = 12;
const MOST_STEPS = 300;
const FONT = "10px Inter, system-ui, sans-serif";

/** The x of a share of the clip in a strip of `width` pixels. */
export function xOfTime(time, width) {
  return MARGIN + time * (width - 2 * MARGIN);
}

/** The share of the clip at an x, kept inside the clip. */
export function timeOfX(x, width) {
  return Math.min(Math.max((x - MARGIN) / (width - 2 * MARGIN), 0), 1);
}

/** The key whose mark is at a pixel of the strip, or -1; `times` are shares of the clip. */
export function keyAtPixel(times, pixel, width) {
  return nearestPixel(times.map((time) => [xOfTime(time, width), KEY_ROW]), pixel, 9);
}

/** The number of the shot whose beginning is at a pixel of the strip (never the first), or -1. */
export function cutAtPixel(firsts, pixel, width) {
  const last = Math.max(firsts.at(-1) - 1, 1);
  const places = firsts.slice(1, -1).map((first) => [xOfTime((first - 0.5) / last, width), pixel[1]]);
  const found = nearestPixel(places, pixel, 6);
  return found < 0 ? -1 : found + 1;
}

/** `now` = {frame (of the clip), shot, firsts, key, times (of the keys), palette}. */
export function drawTimeline(ctx, [width, height], scene, now) {
  const { palette, firsts } = now;
  const last = Math.max(firsts.at(-1) - 1, 1);
  const base = height - 5;
  const share = scene.speeds.travel.length / Math.max(firsts[now.shot + 1] - firsts[now.shot] - 1, 1);
  ctx.strokeStyle = palette.grid;
  ctx.lineWidth = 1;
  ctx.strokeRect(MARGIN + 0.5, 4.5, width - 2 * MARGIN - 1, height - 9);
  drawShots(ctx, [width, height], last, now);
  const box = { top: KEY_ROW + 24, base, x: (index) => xOfTime((firsts[now.shot] + (index + 0.5) / share) / last, width) };
  drawCurve(ctx, scene.speeds.travel, { ...box, least: 1e-3 * scene.depth }, palette.travel, true);
  drawCurve(ctx, scene.speeds.turn, { ...box, least: 0.1 }, palette.turn, false);
  ctx.fillStyle = palette.text;
  ctx.fillRect(xOfTime(now.frame / last, width) - 0.75, 4, 1.5, height - 8);
  now.times.forEach((time, number) => drawKeyMark(ctx, [xOfTime(time, width), KEY_ROW], number === now.key, palette));
}

/** The cuts, and the other shots in grey with their numbers. */
function drawShots(ctx, [width, height], last, { firsts, shot, palette }) {
  if (firsts.length < 3) return;
  ctx.font = FONT;
  ctx.textAlign = "center";
  firsts.slice(0, -1).forEach((first, number) => {
    const [left, right] = [first, firsts[number + 1]].map((frame) => xOfTime(Math.min(Math.max((frame - 0.5) / last, 0), 1), width));
    ctx.fillStyle = palette.grid;
    if (number !== shot) ctx.fillRect(left, 5, right - left, height - 10);
    ctx.fillStyle = palette.text;
    ctx.fillText(said(`shot ${number + 1}`), 0.5 * (left + right), height - 10);
    if (number > 0) ctx.fillRect(left - 1, 4, 2, height - 8);
  });
}

/** The two speeds at a frame of a shot, in words. */
export function speedWords(scene, frame, unit) {
  const index = Math.min(frame, scene.speeds.travel.length - 1);
  if (index < 0) return [said("stands still"), ""];
  const words = { metre: "m/s", near_depth: said("depth/s"), arbitrary: "/s" };
  const travel = scene.speeds.travel[index].toFixed(2);
  return [`${travel} ${words[unit] ?? "/s"}`, `${scene.speeds.turn[index].toFixed(1)} °/s`];
}

function drawCurve(ctx, values, { x, top, base, least }, color, filled) {
  if (!values.length) return;
  const highest = values.reduce((most, value) => Math.max(most, value), least);
  ctx.beginPath();
  for (const index of spread(values.length, MOST_STEPS)) ctx.lineTo(x(index), base - (values[index] / highest) * (base - top));
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.5;
  ctx.stroke();
  if (!filled) return;
  ctx.lineTo(x(values.length - 1), base);
  ctx.lineTo(x(0), base);
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = color;
  ctx.fill();
  ctx.globalAlpha = 1;
}
