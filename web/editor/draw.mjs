// What the editor shows: the world with the path in it, and the view through one of its cameras. On a 2D canvas.

import { add, dot, norm, scale, subtract, transformPoint, translationOf } from "../camera_math.mjs";
import { steadyCamera, timeAlong } from "../camera_path.mjs";
import { cloudExtent } from "./cloud.mjs";
import { AXES, gripsOf } from "./grips.mjs";
import { speedColor, speedsOf, spread } from "./speeds.mjs";
import { fitWindow, intoWindow, pathCamera, project, projectSegment, roundStep } from "./view.mjs";
import { said } from "./words.mjs";

const FRUSTA = 9;
const MOST_SEGMENTS = 240;
const FONT = "11px Inter, system-ui, sans-serif";

/**
 * The lasting parts of a picture of a shot of `clip`: its cameras (all of them, or during a drag fewer, evenly spread:
 * `at` finds that of a frame), where the ground lies, how large a frustum is drawn. `around`:
 * where the clip's first camera stands ({motion, K}), which sees the picture, and the centres of the other shots.
 */
export function sceneOf(plan, cameras, clip, around = {}) {
  const centers = cameras.world_from_cam.map(translationOf);
  const { depth } = plan;
  const reach = Math.max(depth, ...centers.map(norm));
  const lowest = Math.max(0, ...centers.map((center) => center[1]));
  const cameraAt = plan.keys.length ? steadyCamera(plan) : null;
  const keyMotions = plan.keys.map(({ time }) => cameraAt(time)[0]);
  const timeAt = timeAlong(plan.speed);
  const share = (centers.length - 1) / Math.max(clip.frameCount - 1, 1);
  return {
    plan, clip, cameras, centers, depth, reach, keyMotions,
    speeds: speedsOf(cameras.world_from_cam, clip.fps * share),
    at: (frame) => Math.round(frame * share),
    ground: Math.max(0.5 * depth, lowest + 0.15 * depth),
    frustum: 0.14 * reach,
    subject: transformPoint(cameras.world_from_cam[0], [0, 0, depth]),
    keyCenters: keyMotions.map(translationOf),
    keyTimes: plan.keys.map(({ time }) => timeAt(time)),
    origin: around.origin ?? { motion: cameras.world_from_cam[0], K: cameras.K[0], clip },
    others: around.others ?? [],
  };
}

/** What a view has to show so that nothing of a scene is cut off. */
export function sceneExtent(scene, { picture, cloud }) {
  const shown = spread(scene.centers.length, FRUSTA).flatMap((frame) => pictureCorners(scene, frame, scene.frustum));
  const path = spread(scene.centers.length, 60).map((frame) => scene.centers[frame]);
  const target = scene.plan.look_at ?? scene.subject;
  const seen = cloud ? cloudExtent(cloud, scene.origin) : picture ? originCorners(scene) : [];
  return [...path, ...shown, ...seen, target];
}

/** The camera of one frame, in pixels of the clip. */
export function cameraAt(scene, frame) {
  return pathCamera({ world_from_cam: scene.cameras.world_from_cam[frame], K: scene.cameras.K[frame] });
}

/** Draws the world from `eye` (a view's camera): `now` = {frame, key, picture, cloud, palette, paint (of the cloud)}. */
export function drawWorld(ctx, eye, scene, now, size) {
  ctx.font = FONT;
  drawGround(ctx, eye, scene, now.palette);
  drawSeen(ctx, eye, scene, now, size);
  drawOthers(ctx, eye, scene, now.palette);
  drawFrusta(ctx, eye, scene, now);
  drawPathLine(ctx, eye, scene, now.palette);
  drawEnds(ctx, eye, scene, now.palette);
  drawGrips(ctx, eye, scene, now);
  drawAxes(ctx, eye, now.palette, size);
}

/** Draws what the camera of frame `now.frame` sees into the window [x, y, w, h], the rest of it left dark. */
export function drawLens(ctx, window, scene, now, size) {
  const { palette } = now;
  const inner = lensWindow(scene, window);
  const eye = lensCamera(scene, now.frame, window);
  ctx.save();
  ctx.fillStyle = palette.lens;
  ctx.fillRect(...inner);
  ctx.beginPath();
  ctx.rect(...inner);
  ctx.clip();
  ctx.font = FONT;
  drawGround(ctx, eye, scene, palette);
  drawSeen(ctx, eye, scene, now, size);
  drawTarget(ctx, project(eye, scene.plan.look_at ?? scene.subject), palette);
  ctx.restore();
  ctx.strokeStyle = palette.border;
  ctx.lineWidth = 1;
  ctx.strokeRect(...inner);
}

/** Where in a window the picture of the path's camera is. */
export function lensWindow({ clip }, window) {
  return fitWindow([clip.height, clip.width], window);
}

/** The camera of a frame as it is drawn into a window. */
export function lensCamera(scene, frame, window) {
  return intoWindow(cameraAt(scene, frame), [scene.clip.height, scene.clip.width], lensWindow(scene, window));
}

function drawSeen(ctx, eye, scene, now, size) {
  if (now.cloud) now.paint.drawCloud(ctx, eye, size, now.cloud, scene.origin);
  else if (now.picture) now.paint.drawPicture(ctx, eye, size, now.picture, scene.origin, scene.depth);
}

function line(ctx, eye, a, b) {
  const segment = projectSegment(eye, a, b);
  if (!segment) return;
  ctx.moveTo(...segment[0]);
  ctx.lineTo(...segment[1]);
}

function strokeLines(ctx, color, width, trace) {
  ctx.beginPath();
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  trace();
  ctx.stroke();
}

/** A grid on the ground, and in the view from the side across it. */
function drawGround(ctx, eye, scene, palette) {
  const step = roundStep(scene.reach / 3);
  const half = Math.ceil((2.2 * scene.reach) / step);
  const fromSide = eye.flat && eye.forward[1] === 0;
  const [a, b] = fromSide ? [2, 1] : [0, 2];
  const middle = [a, b].map((axis) => Math.round(scene.subject[axis] / step));
  const point = (column, row) => {
    const place = [scene.subject[0], scene.ground, 0];
    [place[a], place[b]] = [(middle[0] + column) * step, (middle[1] + row) * step];
    return place;
  };
  strokeLines(ctx, palette.grid, 1, () => {
    for (let number = -half; number <= half; number += 1) {
      // In pieces, so that a line that passes behind the eye keeps the part in front of it straight and whole.
      line(ctx, eye, point(number, -half), point(number, half));
      line(ctx, eye, point(-half, number), point(half, number));
    }
  });
}

/** The world's axes in the left lower corner, as the view sees them. */
function drawAxes(ctx, eye, palette, [, height]) {
  const corner = [34, height - 30];
  for (const { name, direction } of AXES) {
    const [x, y] = [dot(direction, eye.right), dot(direction, eye.down)];
    if (Math.hypot(x, y) < 0.1) continue;
    strokeLines(ctx, palette[name], 2, () => {
      ctx.moveTo(...corner);
      ctx.lineTo(corner[0] + 20 * x, corner[1] + 20 * y);
    });
    label(ctx, [corner[0] + 27 * x, corner[1] + 27 * y], name, palette[name], palette, "center");
  }
}

function label(ctx, pixel, text, color, palette, align = "left", rise = 4) {
  if (!pixel) return;
  const words = said(text);
  ctx.textAlign = align;
  ctx.lineWidth = 3;
  ctx.strokeStyle = palette.halo;
  ctx.strokeText(words, pixel[0], pixel[1] + rise);
  ctx.fillStyle = color;
  ctx.fillText(words, pixel[0], pixel[1] + rise);
}

/** The corners of a frame's picture at `distance` from its camera: left upper, right upper, right lower, left lower. */
function pictureCorners({ cameras, clip }, frame, distance) {
  return cornersOf({ motion: cameras.world_from_cam[frame], K: cameras.K[frame], clip }, distance);
}

/** Where the linked picture hangs: at the depth of the subject before the clip's first camera. */
const originCorners = (scene) => cornersOf(scene.origin, scene.depth);

function cornersOf({ motion, K, clip: { width, height } }, distance) {
  const [fx, fy, cx, cy] = K;
  const corner = (u, v) => [((u - cx) / fx) * distance, ((v - cy) / fy) * distance, distance];
  const inside = [corner(0, 0), corner(width, 0), corner(width, height), corner(0, height)];
  return inside.map((point) => transformPoint(motion, point));
}

/** The paths of the other shots. */
function drawOthers(ctx, eye, scene, palette) {
  for (const centers of scene.others) {
    const stops = spread(centers.length, 80);
    strokeLines(ctx, palette.frustum, 1.5, () => stops.slice(1).forEach((stop, i) => line(ctx, eye, centers[stops[i]], centers[stop])));
  }
}

function drawFrusta(ctx, eye, scene, now) {
  for (const frame of spread(scene.centers.length, FRUSTA)) {
    if (frame !== now.frame) drawFrustum(ctx, eye, scene, frame, scene.frustum, now.palette.frustum, 1);
  }
  drawFrustum(ctx, eye, scene, now.frame, 1.25 * scene.frustum, now.palette.now, 1.6);
}

function drawFrustum(ctx, eye, scene, frame, size, color, width) {
  const center = scene.centers[frame];
  const corners = pictureCorners(scene, frame, size);
  const top = scale(add(corners[0], corners[1]), 0.5);
  const peak = add(top, scale(subtract(corners[0], corners[3]), 0.3));
  strokeLines(ctx, color, width, () => {
    corners.forEach((corner, number) => {
      line(ctx, eye, center, corner);
      line(ctx, eye, corner, corners[(number + 1) % 4]);
    });
    for (const share of [0.3, 0.7]) {
      line(ctx, eye, add(corners[0], scale(subtract(corners[1], corners[0]), share)), peak);
    }
  });
}

function drawPathLine(ctx, eye, scene, palette) {
  const { travel } = scene.speeds;
  const fastest = travel.reduce((most, speed) => Math.max(most, speed), 1e-12);
  const stops = spread(scene.centers.length, MOST_SEGMENTS);
  const colors = stops.slice(1).map((_, i) => speedColor(travel[stops[i]] / fastest, palette.speed));
  for (let i = 0, next = 0; i < colors.length; i = next) {
    for (next = i; colors[next] === colors[i];) next += 1;
    strokeLines(ctx, colors[i], 2.5, () => {
      for (let part = i; part < next; part += 1) line(ctx, eye, scene.centers[stops[part]], scene.centers[stops[part + 1]]);
    });
  }
}

function drawEnds(ctx, eye, scene, palette) {
  const last = scene.centers.length - 1;
  const pixels = [project(eye, scene.centers[0]), project(eye, scene.centers[last])];
  const apart = pixels[0] && pixels[1] && Math.hypot(pixels[0][0] - pixels[1][0], pixels[0][1] - pixels[1][1]) > 14;
  label(ctx, pixels[0], "start", palette.text, palette, "center", 18);
  if (apart) label(ctx, pixels[1], "end", palette.text, palette, "center", 18);
}

function drawTarget(ctx, pixel, { subject }) {
  if (!pixel) return;
  strokeLines(ctx, subject, 1.5, () => {
    ctx.arc(...pixel, 5, 0, 2 * Math.PI);
    for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ctx.moveTo(pixel[0] + 3 * x, pixel[1] + 3 * y);
      ctx.lineTo(pixel[0] + 9 * x, pixel[1] + 9 * y);
    }
  });
}

function diamond(ctx, [x, y], radius) {
  ctx.beginPath();
  ctx.moveTo(x, y - radius);
  ctx.lineTo(x + radius, y);
  ctx.lineTo(x, y + radius);
  ctx.lineTo(x - radius, y);
  ctx.closePath();
}

/** A key's mark, on the path and on the time line alike. */
export function drawKeyMark(ctx, pixel, selected, palette) {
  diamond(ctx, pixel, selected ? 7 : 5);
  ctx.fillStyle = selected ? palette.key : palette.hollow;
  ctx.strokeStyle = palette.key;
  ctx.lineWidth = 1.5;
  ctx.fill();
  ctx.stroke();
}

/** Everything that can be taken hold of, each joined to its key. */
function drawGrips(ctx, eye, scene, { key, palette }) {
  const from = scene.keyCenters[key] && project(eye, scene.keyCenters[key]);
  const grips = gripsOf(eye, scene, key);
  for (const grip of grips.toReversed()) {
    if (grip.kind === "key") drawKeyMark(ctx, grip.pixel, grip.index === key, palette);
    else if (grip.kind === "target") {
      drawTarget(ctx, grip.pixel, palette);
      label(ctx, [grip.pixel[0] + 12, grip.pixel[1]], scene.plan.look_at ? "always faced" : "subject", palette.subject, palette);
    } else if (from) drawArm(ctx, from, grip, palette);
  }
  if (from) drawKeyMark(ctx, from, true, palette);
}

function drawArm(ctx, from, { kind, axis, pixel }, palette) {
  const color = kind === "axis" ? palette[AXES[axis].name] : kind === "handle" ? palette.key : palette.subject;
  ctx.setLineDash(kind === "axis" ? [] : [3, 3]);
  strokeLines(ctx, color, kind === "axis" ? 2 : 1.2, () => {
    ctx.moveTo(...from);
    ctx.lineTo(...pixel);
  });
  ctx.setLineDash([]);
  ctx.beginPath();
  if (kind === "handle") ctx.rect(pixel[0] - 4, pixel[1] - 4, 8, 8);
  else ctx.arc(...pixel, kind === "aim" ? 6 : 4.5, 0, 2 * Math.PI);
  ctx.fillStyle = color;
  ctx.fill();
  if (kind === "aim" || kind === "roll") label(ctx, [pixel[0] + 9, pixel[1]], kind, color, palette);
}
