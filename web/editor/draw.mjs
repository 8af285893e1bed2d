// What the editor shows: the world with the path in it, and the view through one of its cameras. On a 2D canvas.

import { add, dot, norm, scale, subtract, transformPoint, translationOf } from "../camera_math.mjs";
import { speedColor, spread } from "./speeds.mjs";
import { fitWindow, intoWindow, pathCamera, project, projectSegment, roundStep, toCamera, toPixels } from "./view.mjs";

export const AXES = [
  { name: "x", direction: [1, 0, 0], color: "#ff6b6b" },
  { name: "up", direction: [0, -1, 0], color: "#7ddb7d" },
  { name: "z", direction: [0, 0, 1], color: "#6aa9ff" },
];
const KEY_COLOR = "#ffd166";
const SUBJECT_COLOR = "#f78fd0";
const NOW_COLOR = "#ffffff";
const FRUSTA = 9;
const MOST_SEGMENTS = 360;
const PICTURE_CELLS = 8;
const FONT = "11px Inter, system-ui, sans-serif";

/** The lasting parts of a picture of a path: its cameras, where the ground lies, how large a frustum is drawn. */
export function sceneOf(path, cameras, speeds, clip) {
  const centers = cameras.world_from_cam.map(translationOf);
  const { depth } = path.plan ?? { depth: 1 };
  const reach = Math.max(depth, ...centers.map(norm));
  const lowest = Math.max(0, ...centers.map((center) => center[1]));
  return {
    plan: path.plan ?? { depth, keys: [], look_at: null },
    clip,
    cameras,
    centers,
    speeds,
    depth,
    reach,
    ground: Math.max(0.5 * depth, lowest + 0.15 * depth),
    frustum: 0.14 * reach,
    subject: transformPoint(cameras.world_from_cam[0], [0, 0, depth]),
    keyFrames: (path.plan?.keys ?? []).map(({ time }) => Math.round(time * (centers.length - 1))),
  };
}

/** What a view has to show so that nothing of a scene is cut off, with or without a picture in it. */
export function sceneExtent(scene, pictured) {
  const shown = spread(scene.centers.length, FRUSTA).flatMap((frame) => pictureCorners(scene, frame, scene.frustum));
  const picture = pictured ? pictureCorners(scene, 0, scene.depth) : [];
  return [...scene.centers, ...shown, ...picture, scene.subject];
}

/** The camera of one frame, in pixels of the clip. */
export function cameraAt(scene, frame) {
  return pathCamera({ world_from_cam: scene.cameras.world_from_cam[frame], K: scene.cameras.K[frame] });
}

/** Draws the world from `eye` (a view's camera): `now` = {frame, key, picture, palette}. */
export function drawWorld(ctx, eye, scene, now) {
  ctx.font = FONT;
  drawGround(ctx, eye, scene, now.palette);
  if (now.picture) drawPicture(ctx, eye, scene, now.picture);
  drawSubject(ctx, eye, scene, true);
  drawFrusta(ctx, eye, scene, now);
  drawPathLine(ctx, eye, scene);
  drawEnds(ctx, eye, scene, now.palette);
  drawKeys(ctx, eye, scene, now.key);
  drawAxes(ctx, eye);
}

/** Draws what the camera of frame `now.frame` sees into the window [x, y, w, h], the rest of it left dark. */
export function drawLens(ctx, window, scene, now) {
  const hw = [scene.clip.height, scene.clip.width];
  const inner = fitWindow(hw, window);
  const eye = intoWindow(cameraAt(scene, now.frame), hw, inner);
  ctx.save();
  ctx.fillStyle = now.palette.lens;
  ctx.fillRect(...inner);
  ctx.beginPath();
  ctx.rect(...inner);
  ctx.clip();
  ctx.font = FONT;
  drawGround(ctx, eye, scene, now.palette);
  if (now.picture) drawPicture(ctx, eye, scene, now.picture);
  drawSubject(ctx, eye, scene, false);
  ctx.restore();
  ctx.strokeStyle = now.palette.border;
  ctx.lineWidth = 1;
  ctx.strokeRect(...inner);
}

/** Where the handles are in the picture: a pixel (or null) for each key, and for each axis of the selected one. */
export function handles(eye, scene, key) {
  const keys = scene.keyFrames.map((frame) => project(eye, scene.centers[frame]));
  const arm = gizmoLength(eye, scene, key);
  const at = scene.centers[scene.keyFrames[key]];
  const axes = at && keys[key] ? AXES.map(({ direction }) => project(eye, add(at, scale(direction, arm)))) : [];
  return { keys, axes };
}

function gizmoLength(eye, scene, key) {
  const at = scene.centers[scene.keyFrames[key]];
  return at ? (52 * toCamera(eye, at)[2]) / eye.focal[0] : 0;
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

function drawGround(ctx, eye, scene, palette) {
  const step = roundStep(scene.reach / 3);
  const half = Math.ceil((2.2 * scene.reach) / step);
  const middle = [0, 2].map((axis) => Math.round(scene.subject[axis] / step));
  const point = (column, row) => [(middle[0] + column) * step, scene.ground, (middle[1] + row) * step];
  strokeLines(ctx, palette.grid, 1, () => {
    for (let number = -half; number <= half; number += 1) {
      // In pieces, so that a line that passes behind the eye keeps the part in front of it straight and whole.
      line(ctx, eye, point(number, -half), point(number, half));
      line(ctx, eye, point(-half, number), point(half, number));
    }
  });
}

/** The world's axes in the left lower corner, as the view sees them. */
function drawAxes(ctx, eye) {
  const corner = [34, 2 * eye.principal[1] - 34];
  for (const { name, direction, color } of AXES) {
    const [x, y] = [dot(direction, eye.right), dot(direction, eye.down)];
    strokeLines(ctx, color, 2, () => {
      ctx.moveTo(...corner);
      ctx.lineTo(corner[0] + 20 * x, corner[1] + 20 * y);
    });
    label(ctx, [corner[0] + 27 * x, corner[1] + 27 * y], name, color, "center");
  }
}

function label(ctx, pixel, text, color, align = "left", rise = 4) {
  if (!pixel) return;
  ctx.textAlign = align;
  ctx.lineWidth = 3;
  ctx.strokeStyle = "rgb(0 0 0 / 55%)";
  ctx.strokeText(text, pixel[0], pixel[1] + rise);
  ctx.fillStyle = color;
  ctx.fillText(text, pixel[0], pixel[1] + rise);
}

/** The corners of a frame's picture at `distance` from its camera: left upper, right upper, right lower, left lower. */
function pictureCorners(scene, frame, distance) {
  const [fx, fy, cx, cy] = scene.cameras.K[frame];
  const { width, height } = scene.clip;
  const corner = (u, v) => [((u - cx) / fx) * distance, ((v - cy) / fy) * distance, distance];
  const inside = [corner(0, 0), corner(width, 0), corner(width, height), corner(0, height)];
  return inside.map((point) => transformPoint(scene.cameras.world_from_cam[frame], point));
}

function drawFrusta(ctx, eye, scene, now) {
  for (const frame of spread(scene.centers.length, FRUSTA)) {
    if (frame !== now.frame) drawFrustum(ctx, eye, scene, frame, scene.frustum, now.palette.frustum, 1);
  }
  drawFrustum(ctx, eye, scene, now.frame, 1.25 * scene.frustum, NOW_COLOR, 1.6);
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

function drawPathLine(ctx, eye, scene) {
  const { travel } = scene.speeds;
  const fastest = Math.max(...travel, 1e-12);
  const stops = spread(scene.centers.length, MOST_SEGMENTS);
  ctx.lineCap = "round";
  for (let number = 1; number < stops.length; number += 1) {
    const [from, to] = [stops[number - 1], stops[number]];
    const color = speedColor(travel[from] / fastest);
    strokeLines(ctx, color, 2.5, () => line(ctx, eye, scene.centers[from], scene.centers[to]));
  }
  ctx.lineCap = "butt";
}

function drawEnds(ctx, eye, scene, palette) {
  const last = scene.centers.length - 1;
  const pixels = [project(eye, scene.centers[0]), project(eye, scene.centers[last])];
  const apart = pixels[0] && pixels[1] && Math.hypot(pixels[0][0] - pixels[1][0], pixels[0][1] - pixels[1][1]) > 14;
  label(ctx, pixels[0], "start", palette.text, "center", 18);
  if (apart) label(ctx, pixels[1], "end", palette.text, "center", 18);
}

function drawSubject(ctx, eye, scene, named) {
  const target = scene.plan.look_at ?? scene.subject;
  const pixel = project(eye, target);
  if (!pixel) return;
  strokeLines(ctx, SUBJECT_COLOR, 1.5, () => {
    ctx.arc(...pixel, 5, 0, 2 * Math.PI);
    for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ctx.moveTo(pixel[0] + 3 * x, pixel[1] + 3 * y);
      ctx.lineTo(pixel[0] + 9 * x, pixel[1] + 9 * y);
    }
  });
  if (named) label(ctx, [pixel[0] + 12, pixel[1]], scene.plan.look_at ? "look at" : "subject", SUBJECT_COLOR);
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
export function drawKeyMark(ctx, pixel, selected) {
  diamond(ctx, pixel, selected ? 7 : 5);
  ctx.fillStyle = selected ? KEY_COLOR : "#3a3a3a";
  ctx.strokeStyle = KEY_COLOR;
  ctx.lineWidth = 1.5;
  ctx.fill();
  ctx.stroke();
}

function drawKeys(ctx, eye, scene, key) {
  const { keys, axes } = handles(eye, scene, key);
  axes.forEach((pixel, number) => {
    if (!pixel) return;
    strokeLines(ctx, AXES[number].color, 2, () => {
      ctx.moveTo(...keys[key]);
      ctx.lineTo(...pixel);
    });
    ctx.beginPath();
    ctx.arc(...pixel, 4.5, 0, 2 * Math.PI);
    ctx.fillStyle = AXES[number].color;
    ctx.fill();
    label(ctx, [pixel[0] + 8, pixel[1]], AXES[number].name, AXES[number].color);
  });
  keys.forEach((pixel, number) => pixel && drawKeyMark(ctx, pixel, number === key));
}

/** The picture as the first camera's picture plane, at the subject's depth, in small pieces that perspective bends. */
function drawPicture(ctx, eye, scene, picture) {
  const [a, b, c, d] = pictureCorners(scene, 0, scene.depth);
  const mix = (p, q, share) => add(p, scale(subtract(q, p), share));
  const n = PICTURE_CELLS;
  const at = (row, column) => {
    const p = toCamera(eye, mix(mix(a, b, column / n), mix(d, c, column / n), row / n));
    const source = [(column / n) * picture.width, (row / n) * picture.height];
    return { source, pixel: p[2] > eye.near ? toPixels(eye, p) : null };
  };
  for (let row = 0; row < n; row += 1) {
    for (let column = 0; column < n; column += 1) {
      const [p, q, r, s] = [at(row, column), at(row, column + 1), at(row + 1, column + 1), at(row + 1, column)];
      drawTriangle(ctx, picture, [p, q, r]);
      drawTriangle(ctx, picture, [p, r, s]);
    }
  }
}

function drawTriangle(ctx, picture, corners) {
  if (corners.some(({ pixel }) => pixel === null)) return;
  const [[u0, v0], [u1, v1], [u2, v2]] = corners.map(({ source }) => source);
  const pixels = corners.map(({ pixel }) => pixel);
  const [[x0, y0], [x1, y1], [x2, y2]] = pixels;
  const determinant = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0);
  const along = (p0, p1, p2) => [
    ((p1 - p0) * (v2 - v0) - (p2 - p0) * (v1 - v0)) / determinant,
    ((p2 - p0) * (u1 - u0) - (p1 - p0) * (u2 - u0)) / determinant,
  ];
  const [a, c] = along(x0, x1, x2);
  const [b, d] = along(y0, y1, y2);
  ctx.save();
  traceSwollen(ctx, pixels);
  ctx.clip();
  ctx.transform(a, b, c, d, x0 - a * u0 - c * v0, y0 - b * u0 - d * v0);
  ctx.drawImage(picture, 0, 0);
  ctx.restore();
}

/** A triangle a pixel larger than given, so that no seam shows between neighbours. */
function traceSwollen(ctx, pixels) {
  const middle = [0, 1].map((axis) => (pixels[0][axis] + pixels[1][axis] + pixels[2][axis]) / 3);
  ctx.beginPath();
  for (const [x, y] of pixels) {
    const distance = Math.hypot(x - middle[0], y - middle[1]) || 1;
    ctx.lineTo(x + (1.2 * (x - middle[0])) / distance, y + (1.2 * (y - middle[1])) / distance);
  }
  ctx.closePath();
}
