// Every edit of a plan, as a function from a plan to a new one. Pure: no argument is changed.

import { add } from "../camera_math.mjs";
import { MOVES, evaluatePlan, fovDegreesFromK, keyFromCamera } from "../camera_path.mjs";

// Keys nearer than this share of the clip to one another are one key.
const SAME_TIME = 1e-4;

/** The layer a preset button makes, with the amount spelled out so that its field shows it. */
export function newMove(move, depth) {
  const { amountKey, angular, default: amount } = MOVES[move];
  const layer = { move };
  if (amountKey) layer[amountKey] = angular || amountKey === "factor" ? amount : round(amount * depth);
  return move === "handheld" ? { ...layer, seed: 0 } : { ...layer, start: 0, end: 1, easing: "smooth" };
}

/** The plan with a preset: instead of layer `index` (where there is one) or on top of all layers. */
export function withPreset(plan, move, index) {
  const layer = newMove(move, plan.depth);
  if (index < 0 || index >= plan.moves.length) return { ...plan, moves: [...plan.moves, layer] };
  return { ...plan, moves: plan.moves.with(index, layer) };
}

/** The plan with `change` laid over layer `index`. */
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

/** The plan with a key at a frame of `clip` that leaves the path of the other keys where it is there: [plan, index]. */
export function withKeyAt(plan, frame, clip) {
  const time = frame / Math.max(clip.frameCount - 1, 1);
  const present = keyAt(plan, time);
  if (present >= 0) return [plan, present];
  const cameras = evaluatePlan({ ...plan, moves: [], look_at: null }, clip);
  const lens = plan.keys.some((key) => key.fov_degrees !== undefined);
  const fov = lens ? { fovDegrees: fovDegreesFromK(cameras.K[frame], clip.width) } : {};
  const key = tidyKey(keyFromCamera(cameras.world_from_cam[frame], { time, ...fov }));
  const keys = [...plan.keys, key].sort((a, b) => a.time - b.time);
  return [{ ...plan, keys }, keys.indexOf(key)];
}

/** The plan without key `index`. */
export function withoutKey(plan, index) {
  return { ...plan, keys: plan.keys.toSpliced(index, 1) };
}

/** The plan with `change` laid over key `index`; a field that is undefined goes away. */
export function withKey(plan, index, change) {
  const entries = Object.entries({ ...plan.keys[index], ...change }).filter(([, value]) => value !== undefined);
  return { ...plan, keys: plan.keys.with(index, Object.fromEntries(entries)) };
}

/** The plan with key `index` moved by a vector. */
export function withKeyMoved(plan, index, offset) {
  return withKey(plan, index, { position: add(plan.keys[index].position, offset).map(round) });
}

/** The plan with key `index` at `time`, kept between its neighbours. */
export function withKeyTime(plan, index, time) {
  const low = index > 0 ? plan.keys[index - 1].time + 10 * SAME_TIME : 0;
  const high = index + 1 < plan.keys.length ? plan.keys[index + 1].time - 10 * SAME_TIME : 1;
  return withKey(plan, index, { time: round(Math.min(Math.max(time, low), high)) });
}

/** The plan with key `index` facing a point (`lookAt`) or turned by angles, the camera of that moment staying as it is. */
export function withKeyFacing(plan, index, lookAt, camera) {
  const key = tidyKey(keyFromCamera(camera, { time: plan.keys[index].time }));
  if (!lookAt) {
    return withKey(plan, index, { rotation_degrees: key.rotation_degrees, look_at: undefined, roll_degrees: undefined });
  }
  const forward = [camera[2], camera[6], camera[10]];
  const point = plan.keys[index].position.map((value, axis) => round(value + plan.depth * forward[axis]));
  return withKey(plan, index, { look_at: point, roll_degrees: key.rotation_degrees[2], rotation_degrees: undefined });
}

/** The plan with its moves turned into `count` keys that can be dragged; handheld shake stays a layer. */
export function withMovesAsKeys(plan, clip, count) {
  const shake = plan.moves.filter(({ move }) => move === "handheld");
  const steady = { ...plan, moves: plan.moves.filter(({ move }) => move !== "handheld") };
  const cameras = evaluatePlan(steady, { ...clip, frameCount: count });
  const keys = Array.from({ length: count }, (_, number) => {
    const fovDegrees = fovDegreesFromK(cameras.K[number], clip.width);
    return tidyKey(keyFromCamera(cameras.world_from_cam[number], { time: number / (count - 1), fovDegrees }));
  });
  return { ...plan, moves: shake, keys };
}

function tidyKey(key) {
  const numbers = {};
  for (const name of ["position", "rotation_degrees"]) if (key[name]) numbers[name] = Array.from(key[name], round);
  if (key.fov_degrees !== undefined) numbers.fov_degrees = round(key.fov_degrees);
  return { ...key, ...numbers, time: round(key.time) };
}

/** A number short enough for a person to read: six decimals, and no minus before a zero. */
export function round(value) {
  return Math.round(value * 1e6) / 1e6 + 0;
}
