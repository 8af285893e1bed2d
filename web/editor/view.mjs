// The editor's own eye: where it stands, what it projects, and what a pointer in its picture means in the world.
// Pure. The world's axes are the path's (OpenCV: x right, y down, z forward), so that "up" is -y.

import { add, dot, norm, scale, subtract } from "../camera_math.mjs";

const NEAR_SHARE = 1e-3;
const PITCH_LIMIT = 1.55;
export const TURN_PER_PIXEL = 0.008;
const VIEW_FOV = 0.8;
const FRAME_PIXELS = 28;

/** A view: an eye at `distance` from `target`, seen from `yaw` (about the vertical) and `pitch` (above it), radians. */
export const DEFAULT_VIEW = Object.freeze({ target: [0, 0, 0.5], yaw: -0.75, pitch: 0.5, distance: 4 });

/** The view as a camera in the world, for a picture of `size` [w, h] in pixels. */
export function viewCamera(view, size) {
  const [sy, cy, sp, cp] = [Math.sin(view.yaw), Math.cos(view.yaw), Math.sin(view.pitch), Math.cos(view.pitch)];
  const forward = [-sy * cp, sp, cy * cp];
  const right = [cy, 0, sy];
  const down = [sy * sp, cp, -cy * sp];
  const focal = (0.5 * Math.min(size[0], size[1])) / Math.tan(0.5 * VIEW_FOV);
  return {
    center: subtract(view.target, scale(forward, view.distance)),
    right,
    down,
    forward,
    focal: [focal, focal],
    principal: [0.5 * size[0], 0.5 * size[1]],
    near: view.distance * NEAR_SHARE,
  };
}

// The views without perspective.
const PLANS = {
  top: { right: [1, 0, 0], down: [0, 0, -1], forward: [0, 1, 0] },
  side: { right: [0, 0, 1], down: [0, 1, 0], forward: [-1, 0, 0] },
};

/** The view from above (forward goes up) or from the side (forward goes right). */
export function planCamera(kind, view, size) {
  const focal = Math.min(size[0], size[1]) / (2 * Math.tan(0.5 * VIEW_FOV) * view.distance);
  const principal = [0.5 * size[0], 0.5 * size[1]];
  return { ...PLANS[kind], center: view.target, focal: [focal, focal], principal, near: -Infinity, flat: true };
}

/** The camera of a view of a kind: "free", "top" or "side". */
export function cameraOf(kind, view, size) {
  return kind === "free" ? viewCamera(view, size) : planCamera(kind, view, size);
}

/** A frame {world_from_cam, K} of a path as such a camera, in its own pixels. */
export function pathCamera(frame) {
  const m = frame.world_from_cam;
  const [fx, fy, cx, cy] = frame.K;
  return {
    center: [m[3], m[7], m[11]],
    right: [m[0], m[4], m[8]],
    down: [m[1], m[5], m[9]],
    forward: [m[2], m[6], m[10]],
    focal: [fx, fy],
    principal: [cx, cy],
    near: 1e-3,
  };
}

/** The same drawn into the window [x, y, w, h] of a picture, its own size being `hw`. */
export function intoWindow(camera, hw, window) {
  const [x, y, w, h] = window;
  const [sx, sy] = [w / hw[1], h / hw[0]];
  const principal = [x + camera.principal[0] * sx, y + camera.principal[1] * sy];
  return { ...camera, focal: [camera.focal[0] * sx, camera.focal[1] * sy], principal };
}

/** The largest window of the aspect of `hw` in the middle of [x, y, w, h]. */
export function fitWindow(hw, [x, y, w, h]) {
  const factor = Math.min(w / hw[1], h / hw[0]);
  const size = [hw[1] * factor, hw[0] * factor];
  return [x + 0.5 * (w - size[0]), y + 0.5 * (h - size[1]), ...size];
}

/** A world point in a camera's frame: [right, down, forward]. */
export function toCamera(camera, point) {
  const d = subtract(point, camera.center);
  return [dot(d, camera.right), dot(d, camera.down), dot(d, camera.forward)];
}

/** A point of a camera's frame, in front of it, in pixels. */
export function toPixels(camera, p) {
  const depth = camera.flat ? 1 : p[2];
  return [
    camera.principal[0] + (camera.focal[0] * p[0]) / depth,
    camera.principal[1] + (camera.focal[1] * p[1]) / depth,
  ];
}

/** How large a pixel is at a point, in scene units. */
export function pixelAt(camera, point) {
  return (camera.flat ? 1 : Math.max(toCamera(camera, point)[2], camera.near)) / camera.focal[0];
}

/** Where the ray of a pixel meets the plane through `point` across `normal`, or null where it does not, ahead. */
export function onPlane(camera, pixel, point, normal) {
  const [x, y] = [0, 1].map((axis) => (pixel[axis] - camera.principal[axis]) / camera.focal[axis]);
  const across = add(scale(camera.right, x), scale(camera.down, y));
  const [start, ray] = camera.flat ? [add(camera.center, across), camera.forward] : [camera.center, add(camera.forward, across)];
  const slope = dot(ray, normal);
  const distance = dot(subtract(point, start), normal) / slope;
  if (Math.abs(slope) < 1e-6 * norm(ray) || (!camera.flat && distance <= 0)) return null;
  return add(start, scale(ray, distance));
}

/** A world point in pixels, or null where it lies behind the camera. */
export function project(camera, point) {
  const p = toCamera(camera, point);
  return p[2] > camera.near ? toPixels(camera, p) : null;
}

/** The visible part of a world segment as two pixels, or null when all of it lies behind the camera. */
export function projectSegment(camera, a, b) {
  let [p, q] = [toCamera(camera, a), toCamera(camera, b)];
  if (p[2] < camera.near && q[2] < camera.near) return null;
  const cut = (from, to) => {
    const s = (camera.near - from[2]) / (to[2] - from[2]);
    return add(from, scale(subtract(to, from), s));
  };
  if (p[2] < camera.near) p = cut(p, q);
  if (q[2] < camera.near) q = cut(q, p);
  return [toPixels(camera, p), toPixels(camera, q)];
}

/** The view after a drag that turns the scene under the pointer. */
export function orbited(view, dx, dy) {
  const pitch = Math.max(-PITCH_LIMIT, Math.min(PITCH_LIMIT, view.pitch + dy * TURN_PER_PIXEL));
  return { ...view, yaw: view.yaw - dx * TURN_PER_PIXEL, pitch };
}

/** The view after a drag that moves the scene with the pointer. */
export function panned(view, dx, dy, size, kind = "free") {
  const camera = cameraOf(kind, view, size);
  return { ...view, target: subtract(view.target, inScreenPlane(camera, view.target, dx, dy)) };
}

/** The view after a wheel of `delta` pixels: nearer for a negative one. */
export function zoomed(view, delta) {
  const factor = Math.exp(Math.max(-240, Math.min(240, delta)) * 0.0015);
  return { ...view, distance: Math.max(1e-3, Math.min(1e5, view.distance * factor)) };
}

/** The view that shows all of `points`, in the larger one of the parts that an `inset` in the right upper corner leaves. */
export function framed(view, points, size, { kind = "free", inset = null } = {}) {
  const parts = freeParts(size, inset).map((box) => framedIn(view, points, size, kind, box));
  return parts.reduce((best, one) => (one.distance < best.distance ? one : best));
}

function freeParts([width, height], inset) {
  if (!inset) return [[0, 0, width, height]];
  const below = inset[1] + inset[3];
  return [[0, 0, inset[0], height], [0, below, width, height - below]];
}

/** The same in one window: the nearest distance from which all of it is inside, found by halving. */
function framedIn(view, points, size, kind, part) {
  const [left, top, width, height] = part;
  const air = Math.min(FRAME_PIXELS, 0.2 * width, 0.2 * height);
  const room = [width - 2 * air, height - 2 * air];
  const middle = [left + 0.5 * width, top + 0.5 * height];
  const extent = Math.max(...points.map((point) => norm(subtract(point, points[0]))), 1e-3);
  let [low, high] = [Math.log(0.02 * extent), Math.log(200 * extent)];
  let best = { ...view, target: points[0], distance: 200 * extent };
  for (let step = 0; step < 18; step += 1) {
    const half = 0.5 * (low + high);
    const [found, fits] = centered({ ...best, distance: Math.exp(half) }, points, size, kind, middle, room);
    if (fits) [best, high] = [found, half];
    else low = half;
  }
  return best;
}

/** The view moved so that the points' picture is in the middle, and whether it then has room. */
function centered(view, points, size, kind, middle, room) {
  let [found, fits] = [view, false];
  for (let step = 0; step < 5; step += 1) {
    const camera = cameraOf(kind, found, size);
    const pixels = points.map((point) => project(camera, point));
    if (pixels.includes(null)) return [found, false];
    const ranges = [0, 1].map((axis) => {
      const places = pixels.map((pixel) => pixel[axis]);
      return [Math.min(...places), Math.max(...places)];
    });
    const off = ranges.map(([least, most], axis) => 0.5 * (least + most) - middle[axis]);
    fits = ranges.every(([least, most], axis) => most - least <= room[axis]) && Math.hypot(...off) < 3;
    found = { ...found, target: add(found.target, inScreenPlane(camera, found.target, ...off)) };
  }
  return [found, fits];
}

/** How far a point moves when its picture does by (dx, dy) pixels, at the same depth. */
export function inScreenPlane(camera, point, dx, dy) {
  const depth = camera.flat ? 1 : Math.max(toCamera(camera, point)[2], camera.near);
  const [right, down] = [(dx * depth) / camera.focal[0], (dy * depth) / camera.focal[1]];
  return add(scale(camera.right, right), scale(camera.down, down));
}

/** How far a point moves along the unit vector `axis` when its picture moves by (dx, dy) pixels along it. */
export function alongAxis(camera, point, axis, dx, dy) {
  const p = toCamera(camera, point);
  if (p[2] <= camera.near) return [0, 0, 0];
  const reach = camera.flat ? 1 : p[2];
  const step = 1e-3 * reach;
  const q = toCamera(camera, add(point, scale(axis, step)));
  const [from, to] = [toPixels(camera, p), toPixels(camera, q)];
  const [ux, uy] = [(to[0] - from[0]) / step, (to[1] - from[1]) / step];
  const square = ux * ux + uy * uy;
  // An axis seen end on has no direction on the screen to be dragged along.
  return square * reach * reach < 1e-3 * camera.focal[0] ** 2 ? [0, 0, 0] : scale(axis, (dx * ux + dy * uy) / square);
}

/** The index of the pixel (null: hidden) nearest to `at` and within `radius` of it, or -1. */
export function nearestPixel(pixels, at, radius) {
  let [best, index] = [radius, -1];
  pixels.forEach((pixel, number) => {
    const distance = pixel === null ? Infinity : Math.hypot(pixel[0] - at[0], pixel[1] - at[1]);
    if (distance <= best) [best, index] = [distance, number];
  });
  return index;
}

/** The nearest of 1, 2 and 5 times a power of ten to a positive `value`. */
export function roundStep(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const mantissa = value / power;
  return power * (mantissa < 1.5 ? 1 : mantissa < 3.5 ? 2 : mantissa < 7.5 ? 5 : 10);
}
