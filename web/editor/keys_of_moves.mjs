// Moves turned into keys: as many as it takes for the path to stay where it is. Pure.

import { multiplyRotations, norm, rotationLog, rotationOf, scale, subtract, translationOf, transpose } from "../camera_math.mjs";
import { closes, keyFromCamera, steadyCamera, validatePlan } from "../camera_path.mjs";
import { round, tidyKey } from "./edits.mjs";
import { fovOfFocal } from "./lens.mjs";

// How far a frame may leave its place: share of the path's size, degrees, share of the focal length.
const TOLERANCE = { place: 0.002, turn: 0.12, lens: 0.002 };
const MOST_ROUNDS = 14;
const SHORTEST = 2.5e-4;
const SAMPLES = 12;
const MOMENT = 1e-5;
const INSTANT = 1e-9;
const JUMP = 2e-5;
const KEY_SPACING = 2e-6;
const REST_SHARE = 0.1;

/** The plan with its moves turned into keys that can be dragged; handheld shake stays a layer. */
export function withMovesAsKeys(plan) {
  const whole = validatePlan(plan);
  const shake = whole.moves.filter(({ move }) => move === "handheld");
  const steady = { ...whole, moves: whole.moves.filter(({ move }) => move !== "handheld") };
  const cameraAt = steadyCamera(steady);
  const stands = standsOf(cameraAt);
  let times = breaksOf(steady, cameraAt, stands.size);
  for (let count = 0; ; count += 1) {
    const keys = keysAt(times, cameraAt, stands, steady);
    const made = { ...whole, moves: shake, keys };
    const coarse = count < MOST_ROUNDS ? coarseSegments(made, times, cameraAt, stands.size) : [];
    if (!coarse.length) return made;
    times = [...times, ...coarse].sort((a, b) => a - b);
  }
}

/** The moments between which the plan runs smoothly, in order: ends of moves and keys, and one beside each jump. */
function breaksOf(plan, cameraAt, size) {
  const ofMoves = plan.moves.flatMap((move) => {
    const own = [move.start, move.end];
    return plan.loop && !closes(move) ? own.flatMap((time) => [time / 2, 1 - time / 2]).concat(0.5) : own;
  });
  const breaks = [0, 1, ...ofMoves, ...plan.keys.map(({ time }) => time)];
  const besideJumps = breaks.flatMap((time) => [-1, 1].flatMap((side) => {
    const jumps = Object.values(changes(cameraAt(time), cameraAt(time + side * INSTANT), size)).some(Boolean);
    return jumps ? [time + side * JUMP] : [];
  }));
  const kept = [];
  for (const time of [...breaks, ...besideJumps]) {
    if (time >= 0 && time <= 1 && kept.every((other) => Math.abs(other - time) > KEY_SPACING)) kept.push(time);
  }
  return kept.sort((a, b) => a - b);
}

/** Whether rotation and lens never change in a path, and how large it is. */
function standsOf(cameraAt) {
  const cameras = Array.from({ length: 201 }, (_, i) => cameraAt(i / 200));
  const centers = cameras.map(([motion]) => translationOf(motion));
  const extent = [0, 1, 2].map((axis) => {
    const places = centers.map((center) => center[axis]);
    return Math.max(...places) - Math.min(...places);
  });
  const stays = (measure) => cameras.every((camera) => Math.abs(measure(cameras[0], camera)) < 1e-7);
  return { size: norm(extent), rotation: stays(turnBetween), lens: stays(logRatio) };
}

function keysAt(times, cameraAt, stands, { loop }) {
  const segments = times.slice(1).map((end, i) => segmentOf(cameraAt, times[i], end, stands));
  const keys = times.map((time, i) => {
    const [motion, focal] = cameraAt(time);
    const fovDegrees = stands.lens && i ? undefined : fovOfFocal(focal, 1);
    const key = keyFromCamera(motion, { time, fovDegrees });
    const [before, after] = [segments[i - 1], segments[i]];
    if (before && !before.jumps) key.handle_in = scale(before.arriving, -before.span / 3);
    if (after && !after.jumps) key.handle_out = scale(after.leaving, after.span / 3);
    return { ...tidyKey({ ...key, easing: after ? after.easing : key.easing }), time };
  });
  return closed(keys, loop);
}

/** Of a loop the last key is the first one again. */
function closed(keys, loop) {
  if (!loop) return keys;
  const [first, last] = [keys[0], keys.at(-1)];
  return [{ ...first, handle_in: last.handle_in }, ...keys.slice(1, -1)];
}

/** A stretch of the path: its velocities at both ends, and the easing of each channel that they ask for. */
function segmentOf(cameraAt, start, end, stands) {
  const span = end - start;
  const step = Math.min(MOMENT, span / 8);
  // What jumps at an end belongs to the next stretch.
  const [a, a1, a2] = [start + INSTANT, start + step, start + 2 * step].map(cameraAt);
  const [b, b1, b2] = [end - INSTANT, end - step, end - 2 * step].map(cameraAt);
  const jumping = span < 1.5 * JUMP ? changes(cameraAt(start), cameraAt(end), stands.size) : {};
  const middle = cameraAt(0.5 * (start + end));
  const easing = (channel, measure, still) => {
    if (jumping[channel]) return "hold";
    const way = Math.abs(measure(a, middle)) + Math.abs(measure(middle, b));
    return easingOf(measure(a, a1) / step, measure(b1, b) / step, way / span, still);
  };
  return {
    span,
    jumps: jumping.position,
    leaving: slope(a, a1, a2, step),
    arriving: scale(slope(b, b1, b2, step), -1),
    easing: {
      position: jumping.position ? "hold" : "linear",
      rotation: easing("rotation", turnBetween, stands.rotation),
      lens: easing("lens", logRatio, stands.lens),
    },
  };
}

/** Which channels differ by more than a thousandth of what they may be off. */
function changes(a, b, size) {
  return {
    position: distance(a, b) > Math.max(1e-3 * TOLERANCE.place * size, 1e-6),
    rotation: turnBetween(a, b) > 1e-6,
    lens: Math.abs(logRatio(a, b)) > 1e-6,
  };
}

/** The derivative of the centre at the first of three moments, `step` apart, to second order. */
function slope(a, b, c, step) {
  const [p, q, r] = [a, b, c].map(([motion]) => translationOf(motion));
  return p.map((value, axis) => (-3 * value + 4 * q[axis] - r[axis]) / (2 * step));
}

/** The easing that rests where the channel rests, of its speeds at both ends and in the mean; a pause in it is held. */
function easingOf(first, last, mean, still) {
  if (mean < 1e-7) return still ? "linear" : "hold";
  const [rests, stops] = [Math.abs(first) < REST_SHARE * mean, Math.abs(last) < REST_SHARE * mean];
  return rests ? (stops ? "smooth" : "ease_in") : stops ? "ease_out" : "linear";
}

/** The middles of the stretches on which the keys leave the path. */
function coarseSegments(made, times, cameraAt, size) {
  const keyedAt = steadyCamera(validatePlan(made));
  return times.slice(1).flatMap((end, i) => {
    const start = times[i];
    if (end - start < SHORTEST) return [];
    const moments = Array.from({ length: SAMPLES }, (_, n) => start + ((n + 0.5) / SAMPLES) * (end - start));
    const leaves = moments.some((time) => leavesPath(cameraAt(time), keyedAt(time), size));
    return leaves ? [round(0.5 * (start + end))] : [];
  });
}

function leavesPath(a, b, size) {
  const far = distance(a, b) > Math.max(TOLERANCE.place * size, 2e-6);
  return far || turnBetween(a, b) > (TOLERANCE.turn * Math.PI) / 180 || Math.abs(logRatio(a, b)) > TOLERANCE.lens;
}

const distance = ([a], [b]) => norm(subtract(translationOf(a), translationOf(b)));
const logRatio = ([, a], [, b]) => Math.log(b / a);

function turnBetween([a], [b]) {
  return norm(rotationLog(multiplyRotations(transpose(rotationOf(a)), rotationOf(b))));
}
