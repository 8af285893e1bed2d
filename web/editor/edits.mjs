// Every edit of a plan, as a function from a plan to a new one. Pure: no argument is changed.

import * as math from "../camera_math.mjs";
import {
  MOVES, defaultPlan, firstFrames, fovDegreesFromK, evaluatePlan, keyCurves, keyFromCamera, progressAlong, steadyCamera, validatePlan,
} from "../camera_path.mjs";
import { fovOfFocal } from "./lens.mjs";

// Keys nearer than this share of the clip to one another are one key.
const SAME_TIME = 1e-4;

/** The layer a preset button makes, its amount spelled out. */
export function newMove(move, depth) {
  const { amountKey, angular, default: amount } = MOVES[move];
  const layer = { move };
  if (amountKey) layer[amountKey] = angular || amountKey === "factor" ? amount : round(amount * depth);
  return move === "handheld" ? { ...layer, seed: 0 } : { ...layer, start: 0, end: 1, easing: "smooth" };
}

/** The plan with a preset instead of layer `index`, or on top. */
export function withPreset(plan, move, index) {
  const layer = newMove(move, plan.depth);
  if (index < 0 || index >= plan.moves.length) return { ...plan, moves: [...plan.moves, layer] };
  return { ...plan, moves: plan.moves.with(index, layer) };
}

/** The plan with layer `index` changed. */
export function withMove(plan, index, change) {
  return { ...plan, moves: plan.moves.with(index, { ...plan.moves[index], ...change }) };
}

/** The plan without layer `index`. */
export function withoutMove(plan, index) {
  return { ...plan, moves: plan.moves.toSpliced(index, 1) };
}

/** The plan with layer `index` moved by `step` places. */
export function withMoveShifted(plan, index, step) {
  const target = index + step;
  if (target < 0 || target >= plan.moves.length) return plan;
  return { ...plan, moves: plan.moves.with(index, plan.moves[target]).with(target, plan.moves[index]) };
}

/** The index of the key at `time`, or -1. */
export function keyAt(plan, time, tolerance = SAME_TIME) {
  return plan.keys.findIndex((key) => Math.abs(key.time - time) <= tolerance);
}

/**
 * The plan with a key at a frame of `clip` that leaves the path of the other keys where it is there: [plan, index]. The
 * first key of all brings one at the start, which then stays before the picture while the other is moved.
 */
export function withKeyAt(plan, frame, clip) {
  if (frame > 0 && !plan.keys.length) return withKeyAt(withKeyAt(plan, 0, clip)[0], frame, clip);
  const time = round(progressAlong(plan.speed)(frame / Math.max(clip.frameCount - 1, 1)));
  const present = keyAt(plan, time);
  if (present >= 0) return [plan, present];
  const bare = validatePlan({ ...plan, moves: [], look_at: null });
  const [motion, focal] = steadyCamera(bare)(time);
  const lens = plan.keys.some((key) => key.fov_degrees !== undefined);
  const fov = lens ? { fovDegrees: fovOfFocal(focal, 1) } : {};
  const [keys, handles] = splitCurve(bare, time);
  const key = tidyKey({ ...keyFromCamera(motion, { time, ...fov }), ...handles });
  const sorted = [...keys, key].sort((a, b) => a.time - b.time);
  return [{ ...plan, keys: sorted }, sorted.indexOf(key)];
}

/** The keys with the handles beside a new key at `time` cut so that the curve stays as it is, and the key's own. */
function splitCurve(plan, time) {
  const curves = keyCurves(plan);
  const index = curves.index(time);
  const count = plan.keys.length;
  const next = (index + 1) % count;
  const within = index >= 0 && time > plan.keys[0].time && time < plan.keys.at(-1).time;
  if (!within || !(plan.keys[index].handle_out || plan.keys[next].handle_in)) return [plan.keys, {}];
  const share = curves.share(time);
  const [p, a, b, q] = curves.points[index];
  const mix = (from, to) => math.add(from, math.scale(math.subtract(to, from), share));
  const [pa, ab, bq] = [mix(p, a), mix(a, b), mix(b, q)];
  const [left, right] = [mix(pa, ab), mix(ab, bq)];
  const middle = mix(left, right);
  const keys = plan.keys
    .with(index, tidyKey({ ...plan.keys[index], handle_out: math.subtract(pa, p) }))
    .with(next, tidyKey({ ...plan.keys[next], handle_in: math.subtract(bq, q) }));
  return [keys, { handle_in: math.subtract(left, middle), handle_out: math.subtract(right, middle) }];
}

/** The control points beside key `index`, from its position: [in, out], null at an open end. */
export function handlesOf(plan, index) {
  const { points } = keyCurves(plan);
  const count = points.length;
  const before = plan.loop ? (index - 1 + count) % count : index - 1;
  const key = plan.keys[index].position;
  const from = (point) => point && math.subtract(point, key);
  return [from(points[before]?.[2]) ?? null, from(points[index]?.[1]) ?? null];
}

/** The plan with the handle on one side of key `index` (0 in, 1 out) at `offset`; `smooth`: at one speed on both sides. */
export function withHandle(plan, index, side, offset, smooth = true) {
  const [own, other] = side ? ["handle_out", "handle_in"] : ["handle_in", "handle_out"];
  const change = { [own]: offset.map(round) };
  if (smooth && handlesOf(plan, index)[1 - side]) {
    const { keys } = plan;
    const span = (step) => (step * (keys.at((index + step) % keys.length).time - keys[index].time) + 1) % 1 || 1;
    change[other] = math.scale(offset, side ? -span(-1) / span(1) : -span(1) / span(-1)).map(round);
  }
  return withKey(plan, index, change);
}

/** The plan without key `index`. */
export function withoutKey(plan, index) {
  return { ...plan, keys: plan.keys.toSpliced(index, 1) };
}

/** The plan with key `index` changed; what is undefined goes away. */
export function withKey(plan, index, change) {
  const entries = Object.entries({ ...plan.keys[index], ...change }).filter(([, value]) => value !== undefined);
  return { ...plan, keys: plan.keys.with(index, Object.fromEntries(entries)) };
}

/** The plan with key `index` moved by a vector. */
export function withKeyMoved(plan, index, offset) {
  return withKey(plan, index, { position: math.add(plan.keys[index].position, offset).map(round) });
}

/** The plan with key `index` at `time`, kept between its neighbours. */
export function withKeyTime(plan, index, time) {
  const low = index > 0 ? plan.keys[index - 1].time + 10 * SAME_TIME : 0;
  const high = index + 1 < plan.keys.length ? plan.keys[index + 1].time - 10 * SAME_TIME : 1;
  return withKey(plan, index, { time: round(Math.min(Math.max(time, low), high)) });
}

/** The plan with key `index` facing a point (`lookAt`) or turned by angles; its camera stays as it is. */
export function withKeyFacing(plan, index, lookAt) {
  const key = plan.keys[index];
  const motion = steadyCamera(validatePlan({ keys: [{ ...key, time: 0 }] }))(0)[0];
  const turned = withKey(plan, index, { look_at: undefined, roll_degrees: undefined, rotation_degrees: undefined });
  if (!lookAt) return withKeyCamera(turned, index, motion);
  const point = math.transformPoint(motion, [0, 0, plan.depth]);
  return withKeyCamera(withKey(turned, index, { look_at: point }), index, motion);
}

/** The plan with key `index` standing and facing as a camera (without moves) does. */
export function withKeyCamera(plan, index, motion) {
  const key = plan.keys[index];
  const made = keyFromCamera(motion, { time: key.time });
  const position = made.position.map(round);
  if (!key.look_at) return withKey(plan, index, { position, rotation_degrees: nearTurns(key.rotation_degrees, made.rotation_degrees) });
  const distance = math.norm(math.subtract(key.look_at, key.position));
  const forward = [motion[2], motion[6], motion[10]];
  const point = math.add(made.position, math.scale(forward, distance)).map(round);
  return withKey(plan, index, { position, look_at: point, roll_degrees: round(made.rotation_degrees[2]) });
}

/** The same angles, a whole number of turns nearer to the ones before. */
function nearTurns(before, angles) {
  return angles.map((angle, axis) => round(angle + 360 * Math.round(((before?.[axis] ?? 0) - angle) / 360)));
}

/** The plan with the camera at key `index`, moves included, changed by a motion in its own frame. */
export function withKeyChanged(plan, index, change) {
  const checked = validatePlan(plan);
  const { time } = checked.keys[index];
  const base = steadyCamera({ ...checked, moves: [] })(time)[0];
  const moved = steadyCamera(checked)(time)[0];
  const undo = math.multiplyMotions(math.inverseMotion(moved), base);
  return withKeyCamera(plan, index, math.multiplyMotions(math.multiplyMotions(moved, change), undo));
}

/** The same at `frame`, where a key is set if there is none: [plan, index]. */
export function withCameraChanged(plan, frame, clip, change) {
  const [keyed, index] = withKeyAt(plan, frame, clip);
  return [withKeyChanged(keyed, index, change), index];
}

// ---- shots

/** The plans of a path, one a shot. */
export function shotsOf(path) {
  return path.shots ?? [{ start: 0, plan: path.plan }];
}

/** The path with these shots; a single one is a plain plan. */
export function withShots(path, shots) {
  const { plan: _plan, shots: _shots, ...rest } = path;
  return shots.length === 1 ? { ...rest, plan: shots[0].plan } : { ...rest, shots };
}

/** The path with another plan in shot `index`. */
export function withShotPlan(path, index, plan) {
  const shots = shotsOf(path);
  return withShots(path, shots.with(index, { ...shots[index], plan }));
}

/** The path with a new shot from `frame` on, which stands where the camera stood. */
export function withCut(path, frame, clip) {
  const shots = shotsOf(path);
  const firsts = firstFrames(shots, clip.frameCount);
  const index = firsts.findLastIndex((first) => first <= frame);
  if (frame === firsts[index]) return path;
  const { plan } = shots[index];
  const own = { ...clip, frameCount: firsts[index + 1] - firsts[index] };
  const cameras = evaluatePlan(plan, own);
  const at = frame - firsts[index];
  const key = tidyKey(keyFromCamera(cameras.world_from_cam[at], { time: 0 }));
  const fov = round(fovDegreesFromK(cameras.K[at], clip.width));
  const made = { start: round(frame / clip.frameCount), plan: { ...defaultPlan(), fov_degrees: fov, depth: plan.depth, keys: [key] } };
  return withShots(path, shots.toSpliced(index + 1, 0, made));
}

/** The path without shot `index`; its time goes to the one before. */
export function withoutShot(path, index) {
  const shots = shotsOf(path).toSpliced(index, 1);
  return shots.length ? withShots(path, shots.with(0, { ...shots[0], start: 0 })) : path;
}

/** The path with shot `index` beginning at `frame`, kept between its neighbours. */
export function withShotStart(path, index, frame, clip) {
  const shots = shotsOf(path);
  const firsts = firstFrames(shots, clip.frameCount);
  const kept = Math.min(Math.max(frame, firsts[index - 1] + 1), firsts[index + 1] - 1);
  return withShots(path, shots.with(index, { ...shots[index], start: round(kept / clip.frameCount) }));
}

/** A key with numbers that are short enough for a person to read. */
export function tidyKey(key) {
  const numbers = {};
  for (const name of ["position", "rotation_degrees", "handle_in", "handle_out"]) if (key[name]) numbers[name] = Array.from(key[name], round);
  if (key.fov_degrees !== undefined) numbers.fov_degrees = round(key.fov_degrees);
  return { ...key, ...numbers, time: round(key.time) };
}

/** A number short enough for a person to read: six decimals, and no minus before a zero. */
export function round(value) {
  return Math.round(value * 1e6) / 1e6 + 0;
}
