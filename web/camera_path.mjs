/**
 * Camera path v1 in the browser: the plan of a path (moves, keys, lens), its checks, and its cameras frame by frame.
 *
 * The twin of raxel_core/paths: tests/golden/camera_paths.json holds both to the same numbers. Pure: no DOM.
 */

import * as math from "./camera_math.mjs";

/**
 * A move of MOVES: amountKey names the field of a planned move that holds how far it goes (null: none), default is what
 * it is where none is given, a length in the plan's depth. A plan, as validatePlan returns it: {fov_degrees, depth, moves,
 * keys, look_at, loop, speed: [time, speed] of the graph's points}. A planned move: {move, an amount, start, end, easing},
 * of handheld {move, amount_degrees, seed}. A key: {time (a share of the path), position, rotation_degrees [pan, tilt,
 * roll] or look_at with roll_degrees, fov_degrees, handle_in and handle_out (control points from the position; absent:
 * automatic), easing {position, rotation, lens} of the segment after it}. A shot: {start, plan}.
 *
 * A path, the document that the builder's widget stores: {format, version, fps, unit, name, width, height}, and
 * frame_count with plan or shots, or frames, a list of {world_from_cam (16 numbers by rows), K [fx, fy, cx, cy]}; how it
 * was estimated from footage may stand beside them as `estimate`, which is passed over here. Cameras: {world_from_cam,
 * K}, a list each, an entry a frame.
 */

export const UNITS = Object.freeze(["metre", "near_depth", "arbitrary"]);

// Speeds at the start and the end of a segment, 1 being the mean speed; hold stays at the start and jumps at the end.
const END_SPEEDS = { linear: [1, 1], smooth: [0, 0], ease_in: [0, 1], ease_out: [1, 0], hold: [0, 1] };

export const EASINGS = Object.freeze(Object.keys(END_SPEEDS));

function move(amountKey, amount) {
  return Object.freeze({ amountKey, angular: amountKey === "amount_degrees", default: amount });
}

export const MOVES = Object.freeze({
  static: move(null, 0),
  pan: move("amount_degrees", 30),
  tilt: move("amount_degrees", 20),
  roll: move("amount_degrees", 20),
  dolly: move("amount", 0.5),
  truck: move("amount", 0.5),
  pedestal: move("amount", 0.3),
  orbit: move("amount_degrees", 30),
  arc: move("amount_degrees", 30),
  crane: move("amount", 0.5),
  boom: move("amount_degrees", 30),
  push_in: move("amount", 0.3),
  pull_back_rise: move("amount", 0.5),
  spiral: move("amount_degrees", 90),
  figure_8: move("amount", 0.2),
  flyover: move("amount", 1),
  dolly_zoom: move("amount", 0.4),
  zoom: move("factor", 1.5),
  handheld: move("amount_degrees", 0.5),
});

const FORMAT = "raxel.camera_path";
const VERSION = 1;
const PATH_KEYS = ["format", "version", "fps", "unit", "name", "width", "height"];
const AMOUNT_KEYS = ["amount_degrees", "amount", "factor"];
const CHANNELS = ["position", "rotation", "lens"];

const MOST_PIXELS = 1_000_000;
const MOST_FRAMES = 100_000;
const MOST_MOVES = 64;
const MOST_KEYS = 1024;
const MOST_SHOTS = 64;
const MOST_SPEED_POINTS = 256;
const LARGEST_SPEED = 1000;
const SMALLEST_AREA = 1e-6;
const KEY_SPACING = 1e-6;
const LARGEST_NUMBER = 1e300;
const LARGEST_LENGTH = 1e6;
const LARGEST_ANGLE_DEGREES = 36000;
const LARGEST_DEGREES = { arc: 171, handheld: 20 };
const LARGEST_SEED = 2 ** 32 - 1;
const FACTOR_RANGE = [0.01, 100];
const DEPTH_RANGE = [1e-6, 1e6];
const FOV_RANGE_DEGREES = [0.1, 179];
const SMALLEST_DISTANCE = 1e-9;

const CLOSED_MOVES = ["static", "figure_8"];
const CLOSED_AFTER_FULL_TURNS = ["pan", "tilt", "roll", "orbit", "boom"];
const BOUND_BY_DEPTH = ["push_in", "dolly_zoom"];
const ARC_RISE = 0.5;
const PULL_BACK_RISE = 0.5;
const FLYOVER_RISE = 0.4;
const FLYOVER_TILT_DEGREES = 25;
const SPIRAL_END = 0.5;

const BAND_HZ = [0.3, 3.0];
const SINES = 12;
const TRANSLATION_PER_DEGREE = 0.01;
const SHAKE_FPS_RANGE = [1e-3, 1e6];

/** Returns a plan without moves and keys: a camera that stands still. */
export function defaultPlan() {
  return { fov_degrees: 60, depth: 1, moves: [], keys: [], look_at: null, loop: false, speed: [] };
}

/** Returns 81 frames of 832 x 480 at 16 fps in near_depth, defaultPlan(). */
export function defaultPath() {
  return {
    format: FORMAT, version: VERSION, fps: 16, unit: "near_depth", name: "", width: 832, height: 480,
    frame_count: 81, plan: defaultPlan(),
  };
}

export function nearestFrameCount(frames) {
  return Math.max(0, Math.floor((Math.round(frames) + 1) / 4)) * 4 + 1;
}

export function fovDegreesFromK(K, width) {
  return degrees(Math.atan2(K[2], K[0]) + Math.atan2(width - K[2], K[0]));
}

/** A key that reproduces a camera. */
export function keyFromCamera(worldFromCam, { time, fovDegrees = undefined }) {
  const key = {
    time,
    position: math.translationOf(worldFromCam),
    rotation_degrees: math.panTiltRollFromRotation(math.rotationOf(worldFromCam)).map(degrees),
    easing: { position: "linear", rotation: "linear", lens: "linear" },
  };
  return fovDegrees === undefined ? key : { ...key, fov_degrees: fovDegrees };
}

/**
 * The plan as a loop. Where a last key at time 1 would leave no time for the way back to a first key at 0, the times of
 * the keys shrink by the share of one segment.
 */
export function loopedPlan(plan) {
  const open = validatePlan({ ...plan, loop: false });
  if (!closesBadly({ ...open, loop: true })) return { ...open, loop: true };
  const share = (open.keys.length - 1) / open.keys.length;
  return { ...open, loop: true, keys: open.keys.map((key) => ({ ...key, time: key.time * share })) };
}

/** The plan as an open path: the times of keys that loopedPlan shrank grow back. */
export function openedPlan(plan) {
  const open = validatePlan({ ...plan, loop: false });
  const count = open.keys.length;
  const shrunk = count > 1 && open.keys[0].time === 0 && Math.abs(open.keys.at(-1).time - (count - 1) / count) < 1e-5;
  if (!shrunk || !plan.loop) return open;
  const last = open.keys.at(-1).time;
  return { ...open, keys: open.keys.map((key) => ({ ...key, time: key.time / last })) };
}

/**
 * How far a planned move goes, the default (which counts in the depth for a length) where it does not say. Returns in
 * degrees, unit or as a ratio of focal lengths, as MOVES[planned.move].amountKey says.
 */
export function amountOf(planned, depth) {
  const { amountKey, default: amount } = MOVES[planned.move];
  const given = amountKey === null ? undefined : planned[amountKey];
  if (given !== undefined && given !== null) return given;
  return amountKey === "amount" ? amount * depth : amount;
}

export function closes(planned) {
  const whole = Number.isInteger(amountOf(planned, 1) / 360);
  return CLOSED_MOVES.includes(planned.move) || (CLOSED_AFTER_FULL_TURNS.includes(planned.move) && whole);
}

/** The share of a move that is done after a share of its time. */
export function ease(easing, share) {
  if (easing === "hold") return share >= 1 ? 1 : 0;
  return warp(share, ...END_SPEEDS[easing]);
}

// ---- checks

/**
 * A deep copy with every optional field of the plan, its moves and its keys filled in; amounts that are absent stay
 * absent, since their default depends on the depth. Throws one sentence that names the key.
 */
export function validatePlan(value, where = "plan") {
  checkKeys(where, value, [], Object.keys(defaultPlan()));
  const given = { ...defaultPlan(), ...value };
  const plan = {
    fov_degrees: checkNumber(`${where}: fov_degrees`, given.fov_degrees, ...FOV_RANGE_DEGREES),
    depth: checkNumber(`${where}: depth`, given.depth, ...DEPTH_RANGE),
    moves: checkList(`${where}.moves`, given.moves, MOST_MOVES).map((v, i) => checkMove(`${where}.moves[${i}]`, v)),
    keys: checkList(`${where}.keys`, given.keys, MOST_KEYS).map((v, i) => checkKeyframe(`${where}.keys[${i}]`, v)),
    look_at: given.look_at === null ? null : checkPoint(`${where}: look_at`, given.look_at, LARGEST_LENGTH),
    loop: checkBoolean(`${where}: loop`, given.loop),
    speed: checkSpeed(`${where}: speed`, given.speed),
  };
  checkTogether(where, plan);
  return plan;
}

/**
 * Returns a deep copy, a planned one with every field of the plan filled in. Throws one sentence that names the key.
 */
export function validatePath(value) {
  const noun = "the camera path";
  checkObject(noun, value);
  const planned = ["frame_count", "plan", "shots"].some((name) => Object.hasOwn(value, name));
  const plans = Object.hasOwn(value, "shots") ? "shots" : "plan";
  checkKeys(noun, value, [...PATH_KEYS, ...(planned ? ["frame_count", plans] : ["frames"])],
    planned ? [] : ["estimate", "frame_numbers", "first_frame"]);
  if (value.format !== FORMAT || value.version !== VERSION) {
    throw new Error(
      `expected format "${FORMAT}" version ${VERSION}, got ${shown(value.format)} version ${shown(value.version)}`,
    );
  }
  const path = {
    format: FORMAT,
    version: VERSION,
    fps: checkPositive(`${noun}'s fps`, value.fps),
    unit: checkChoice(`${noun}'s unit`, value.unit, UNITS),
    name: checkText(`${noun}'s name`, value.name),
    width: checkWhole(`${noun}'s width`, value.width, 1, MOST_PIXELS),
    height: checkWhole(`${noun}'s height`, value.height, 1, MOST_PIXELS),
  };
  checkWhole(`${noun}'s first_frame`, value.first_frame ?? 1, -1048574, 1048574);
  if (!planned) return { ...path, frames: checkFrames(value.frames) };
  const frameCount = checkWhole(`${noun}'s frame_count`, value.frame_count, 1, MOST_FRAMES);
  const own = plans === "shots" ? { shots: checkShots(value.shots) } : { plan: validatePlan(value.plan) };
  return { ...path, frame_count: frameCount, ...own };
}

/**
 * The number of the first frame of each shot, and behind them the number of all frames. Throws where a shot has no
 * frame.
 */
export function firstFrames(shots, frameCount) {
  const firsts = [...shots.map(({ start }) => Math.floor(start * frameCount + 0.5)), frameCount];
  shots.forEach((_, i) => {
    if (firsts[i + 1] > firsts[i]) return;
    throw new Error(`shots[${i}] has none of the clip's ${frameCount} frames: begin it earlier, or the next later`);
  });
  return firsts;
}

function checkShots(value) {
  const shots = checkList("shots", value, MOST_SHOTS).map((shot, number) => {
    const where = `shots[${number}]`;
    checkKeys(`${where}: the shot`, shot, ["start", "plan"], []);
    const start = checkNumber(`${where}: start`, shot.start, 0, 1);
    return { start, plan: validatePlan(shot.plan, `${where}: plan`) };
  });
  if (!shots.length) throw new Error("shots is a list with at least one shot, got none");
  if (shots[0].start !== 0) throw new Error(`shots[0]: start is 0, got ${shots[0].start}`);
  shots.slice(1).forEach(({ start }, i) => {
    if (start > shots[i].start) return;
    throw new Error(`shots[${i + 1}]: start is later than that of the shot before it, got ${start}`);
  });
  return shots;
}

function checkSpeed(noun, value) {
  const points = checkList(noun, value, MOST_SPEED_POINTS).map((point, number) => {
    const where = `${noun}[${number}]`;
    expect(Array.isArray(point) && point.length === 2, where, "a list of 2 numbers, time and speed", point);
    return [checkNumber(`${where}: time`, point[0], 0, 1), checkNumber(`${where}: speed`, point[1], 0, LARGEST_SPEED)];
  });
  points.slice(1).forEach(([time], i) => {
    if (time - points[i][0] >= KEY_SPACING) return;
    const spacing = `at least ${KEY_SPACING} later than that of the point before it`;
    throw new Error(`${noun}[${i + 1}]: time is ${spacing}, got ${time}`);
  });
  if (points.length && speedAreas(points).areas.at(-1) < SMALLEST_AREA) {
    throw new Error(`${noun} stands still all the time: some point has a speed above 0`);
  }
  return points;
}

function checkMove(where, value) {
  const fields = ["amount_degrees", "amount", "factor", "start", "end", "easing", "seed"];
  checkKeys(`${where}: the move`, value, ["move"], fields);
  const name = checkChoice(`${where}: move`, value.move, Object.keys(MOVES));
  const own = name === "handheld" ? ["seed"] : ["start", "end", "easing"];
  for (const key of ["seed", "start", "end", "easing"]) {
    if (Object.hasOwn(value, key) && !own.includes(key)) throw new Error(`${where}: ${key} is no field of ${name}`);
  }
  const planned = { move: name };
  for (const key of AMOUNT_KEYS) {
    if ((value[key] ?? null) !== null) planned[key] = checkAmount(where, name, key, value[key]);
  }
  if (name === "handheld") {
    return { ...planned, seed: checkWhole(`${where}: seed`, withDefault(value.seed, 0), 0, LARGEST_SEED) };
  }
  const start = checkNumber(`${where}: start`, withDefault(value.start, 0), 0, 1);
  const end = checkNumber(`${where}: end`, withDefault(value.end, 1), 0, 1);
  if (start >= end) throw new Error(`${where}: start comes before end, got ${start} and ${end}`);
  const easing = checkChoice(`${where}: easing`, withDefault(value.easing, "linear"), EASINGS);
  return { ...planned, start, end, easing };
}

function checkAmount(where, name, key, value) {
  const own = MOVES[name].amountKey;
  if (key !== own) throw new Error(`${where}: ${key} is no field of ${name}, which takes ${own ?? "no amount"}`);
  if (key === "factor") return checkNumber(`${where}: ${key}`, value, ...FACTOR_RANGE);
  const most = key === "amount" ? LARGEST_LENGTH : (LARGEST_DEGREES[name] ?? LARGEST_ANGLE_DEGREES);
  return checkNumber(`${where}: ${key}`, value, name === "handheld" ? 0 : -most, most);
}

function checkKeyframe(where, value) {
  const fields = ["rotation_degrees", "look_at", "roll_degrees", "fov_degrees", "handle_in", "handle_out", "easing"];
  checkKeys(`${where}: the key`, value, ["time", "position"], fields);
  const key = {
    time: checkNumber(`${where}: time`, value.time, 0, 1),
    position: checkPoint(`${where}: position`, value.position, LARGEST_LENGTH),
  };
  const roll = checkNumber(
    `${where}: roll_degrees`, withDefault(value.roll_degrees, 0), -LARGEST_ANGLE_DEGREES, LARGEST_ANGLE_DEGREES,
  );
  if ((value.rotation_degrees ?? null) !== null) {
    key.rotation_degrees = checkPoint(`${where}: rotation_degrees`, value.rotation_degrees, LARGEST_ANGLE_DEGREES);
  }
  if ((value.look_at ?? null) !== null) {
    key.look_at = checkPoint(`${where}: look_at`, value.look_at, LARGEST_LENGTH);
    key.roll_degrees = roll;
  }
  if ((value.fov_degrees ?? null) !== null) {
    key.fov_degrees = checkNumber(`${where}: fov_degrees`, value.fov_degrees, ...FOV_RANGE_DEGREES);
  }
  for (const name of ["handle_in", "handle_out"]) {
    if ((value[name] ?? null) !== null) key[name] = checkPoint(`${where}: ${name}`, value[name], LARGEST_LENGTH);
  }
  checkOrientation(where, key, roll);
  return { ...key, easing: checkEasing(where, withDefault(value.easing, "linear")) };
}

function checkOrientation(where, key, roll) {
  if (!key.look_at) {
    if (roll) {
      throw new Error(`${where}: roll_degrees goes with look_at; in rotation_degrees roll is the third number`);
    }
  } else if (key.rotation_degrees) {
    throw new Error(`${where}: rotation_degrees and look_at exclude each other, got both`);
  } else if (math.norm(math.subtract(key.look_at, key.position)) < SMALLEST_DISTANCE) {
    throw new Error(`${where}: look_at is the key's own position, which no camera can face`);
  }
}

function checkEasing(where, value) {
  if (typeof value === "string") {
    checkChoice(`${where}: easing`, value, EASINGS);
    return { position: value, rotation: value, lens: value };
  }
  checkKeys(`${where}: easing`, value, [], CHANNELS);
  const easing = {};
  for (const channel of CHANNELS) {
    easing[channel] = checkChoice(`${where}: easing.${channel}`, withDefault(value[channel], "linear"), EASINGS);
  }
  return easing;
}

/** Whether a loop's way back to its first key takes no time but leads somewhere. */
function closesBadly({ keys, loop }) {
  if (meetsItself({ keys, loop })) return !sameCamera(keys[0], keys.at(-1));
  return loop && keys.length > 1 && 1 - keys.at(-1).time + keys[0].time < KEY_SPACING;
}

/** What the fields of a plan ask of each other. */
function checkTogether(where, plan) {
  plan.moves.forEach((planned, number) => {
    const amount = amountOf(planned, plan.depth);
    if (BOUND_BY_DEPTH.includes(planned.move) && Math.abs(amount) >= plan.depth) {
      const bound = `is less than the depth ${plan.depth}, got ${amount}`;
      throw new Error(`${where}: moves[${number}].amount of ${planned.move} ${bound}`);
    }
  });
  plan.keys.forEach((key, number) => {
    if (number > 0 && key.time - plan.keys[number - 1].time < KEY_SPACING) {
      const spacing = `at least ${KEY_SPACING} later than that of the key before it`;
      throw new Error(`${where}: keys[${number}].time is ${spacing}, got ${key.time}`);
    }
  });
  if (closesBadly(plan)) {
    const last = plan.keys.length - 1;
    throw new Error(
      `${where}: keys[${last}].time is before 1 in a loop, where the first key stands at 0 and at 1`,
    );
  }
}

/** Whether two keys of a loop stand at the same moment, the beginning and the end. */
function meetsItself({ loop, keys }) {
  return loop && keys.length > 1 && keys[0].time === 0 && keys.at(-1).time === 1;
}

function sameCamera(a, b) {
  const camera = ({ position, rotation_degrees, look_at, roll_degrees, fov_degrees }) =>
    JSON.stringify([position, rotation_degrees, look_at, roll_degrees, fov_degrees]);
  return camera(a) === camera(b);
}

function checkFrames(frames) {
  if (!Array.isArray(frames) || !frames.length) {
    throw new Error("the camera path's frames are a list with at least one frame");
  }
  return frames.map((frame, number) => {
    const noun = `frame ${number} of the camera path`;
    checkKeys(noun, frame, ["world_from_cam", "K"], []);
    return {
      world_from_cam: checkMotion(number, checkNumbers(`world_from_cam of frame ${number}`, frame.world_from_cam, 16)),
      K: checkLens(number, checkNumbers(`K of frame ${number}`, frame.K, 4)),
    };
  });
}

function checkMotion(number, motion) {
  const rotation = math.rotationOf(motion);
  const product = math.multiplyRotations(math.transpose(rotation), rotation);
  const deviation = Math.max(...product.map((value, i) => Math.abs(value - (i % 4 === 0 ? 1 : 0))));
  if (!(deviation <= 1e-3)) throw new Error(`frame ${number} has a rotation that is not orthonormal`);
  const [x, y, z] = [0, 1, 2].map((column) => [rotation[column], rotation[column + 3], rotation[column + 6]]);
  if (math.dot(math.cross(x, y), z) < 0) throw new Error(`frame ${number} has a rotation that mirrors`);
  if (motion[12] !== 0 || motion[13] !== 0 || motion[14] !== 0 || motion[15] !== 1) {
    throw new Error(`frame ${number} has a world_from_cam whose last row is not 0 0 0 1`);
  }
  return motion;
}

function checkLens(number, K) {
  if (!(K[0] > 0 && K[1] > 0)) throw new Error(`frame ${number} has a focal length that is not positive`);
  return K;
}

function checkKeys(noun, value, required, optional) {
  checkObject(noun, value);
  const missing = required.filter((key) => !Object.hasOwn(value, key));
  if (missing.length) throw new Error(`${noun} lacks ${missing.slice(0, 5).join(", ")}`);
  const surplus = Object.keys(value).filter((key) => !required.includes(key) && !optional.includes(key)).sort();
  if (surplus.length) {
    const names = surplus.slice(0, 5).map((key) => (/\p{C}/u.test(key) ? shown(key) : key.slice(0, 40)));
    throw new Error(`${noun} has unknown ${names.join(", ")}`);
  }
}

/** The value, where it is `right`: otherwise one sentence of what it is not. */
function expect(right, noun, expected, value) {
  if (!right) throw new Error(`${noun} is ${expected}, got ${shown(value)}`);
  return value;
}

function checkObject(noun, value) {
  return expect(value !== null && typeof value === "object" && !Array.isArray(value), noun, "an object", value);
}

function checkList(noun, value, most) {
  expect(Array.isArray(value), noun, "a list", value);
  if (value.length > most) throw new Error(`${noun} has at most ${most} entries, got ${value.length}`);
  return value;
}

function checkNumber(noun, value, low, high) {
  return expect(typeof value === "number" && value >= low && value <= high, noun, `a number from ${low} to ${high}`, value);
}

function checkPositive(noun, value) {
  return expect(typeof value === "number" && value > 0 && value < LARGEST_NUMBER, noun, "a positive number", value);
}

function checkWhole(noun, value, low, high) {
  return expect(Number.isInteger(value) && value >= low && value <= high, noun, `a whole number from ${low} to ${high}`, value);
}

function checkCount(noun, value, count) {
  return expect(Array.isArray(value) && value.length === count, noun, `a list of ${count} numbers`, value);
}

function checkNumbers(noun, value, count) {
  for (const number of checkCount(noun, value, count)) {
    if (typeof number !== "number" || !(Math.abs(number) < LARGEST_NUMBER)) {
      throw new Error(`${noun} holds ${shown(number)}, which is no finite number`);
    }
  }
  return [...value];
}

function checkPoint(noun, value, most) {
  return checkCount(noun, value, 3).map((number, axis) => checkNumber(`${noun}[${axis}]`, number, -most, most));
}

function checkChoice(noun, value, choices) {
  return expect(choices.includes(value), noun, `one of ${choices.join(", ")}`, value);
}

const checkText = (noun, value) => expect(typeof value === "string", noun, "text", value);

const checkBoolean = (noun, value) => expect(typeof value === "boolean", noun, "true or false", value);

function withDefault(value, missing) {
  return value === undefined ? missing : value;
}

/** A value in an error: numbers and short text as they are, of all else only the kind. */
function shown(value) {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return value !== null && typeof value === "object" ? "an object" : String(JSON.stringify(value) ?? value).slice(0, 40);
}

// ---- evaluation

/** The cameras of a plan. Throws one sentence. */
export function evaluatePlan(plan, { frameCount, fps, width, height }) {
  const checked = validatePlan(plan);
  checkWhole("frame_count", frameCount, 1, MOST_FRAMES);
  const progressAt = progressAlong(checked.speed);
  const steadyAt = steadyCamera(checked);
  const shakes = checked.moves
    .filter(({ move: name }) => name === "handheld")
    .map((planned) => shake(planned, checked, frameCount, fps));
  const cameras = { world_from_cam: [], K: [] };
  for (let frame = 0; frame < frameCount; frame += 1) {
    const [moved, relativeFocal] = steadyAt(progressAt(frame / Math.max(frameCount - 1, 1)));
    const faced = faceLock(checked, frame, moved);
    cameras.world_from_cam.push(shakes.reduce((motion, jitter) => math.multiplyMotions(motion, jitter(frame)), faced));
    const focal = checkFocal(frame, relativeFocal) * width;
    cameras.K.push([focal, focal, 0.5 * width, 0.5 * height]);
  }
  return cameras;
}

/**
 * The camera of a plan without handheld and look-at lock. Returns world_from_cam and the focal length in picture
 * widths, at a share of the path
 */
export function steadyCamera(plan) {
  const [motionAt, focalAt] = [baseMotion(plan), baseFocal(plan)];
  return (progress) => {
    const [moved, factor] = applyMoves(plan, progress, motionAt(progress));
    return [moved, focalAt(progress) * factor];
  };
}

/**
 * The Bezier curves between the keys of a plan, the way back of a loop included. Returns the curve on which a moment
 * stands, the share of it that is behind, and the four control points of each curve
 */
export function keyCurves(plan) {
  const keys = openKeys(plan);
  if (keys.length < 2) return { index: () => -1, share: () => 0, points: [] };
  const segments = segmentsBetween(keys.map((key) => key.time), keys.map((key) => key.easing.position), plan.loop);
  const { ends, leaving, arriving } = vectorSegments(keys.map((key) => key.position), segments, keys);
  const points = leaving.map((velocity, i) => [
    ends[i], math.add(ends[i], math.scale(velocity, 1 / 3)), math.subtract(ends[i + 1], math.scale(arriving[i], 1 / 3)), ends[i + 1],
  ]);
  const at = (progress) => segmentAt(segments, progress);
  return { index: (progress) => at(progress)[0], share: (progress) => at(progress)[1], points };
}

/** The cameras of a validated document, planned or baked. */
export function evaluatePath(path) {
  if (path.frames) {
    return {
      world_from_cam: path.frames.map((frame) => Float64Array.from(frame.world_from_cam)),
      K: path.frames.map((frame) => [...frame.K]),
    };
  }
  const { frame_count: frameCount, fps, width, height } = path;
  if (path.shots) return evaluateShots(path.shots, { frameCount, fps, width, height });
  return evaluatePlan(path.plan, { frameCount, fps, width, height });
}

function evaluateShots(shots, clip) {
  const firsts = firstFrames(shots, clip.frameCount);
  const cameras = { world_from_cam: [], K: [] };
  shots.forEach(({ plan }, i) => {
    try {
      const made = evaluatePlan(plan, { ...clip, frameCount: firsts[i + 1] - firsts[i] });
      cameras.world_from_cam.push(...made.world_from_cam);
      cameras.K.push(...made.K);
    } catch (error) {
      throw new Error(`shots[${i}]: ${error.message}`, { cause: error });
    }
  });
  return cameras;
}

/** The share of the path done at a share of the clip, by a speed graph. */
export function progressAlong(speed) {
  if (!speed.length) return (time) => time;
  const { points, areas } = speedAreas(speed);
  return (time) => {
    if (time >= 1) return 1;
    let i = 0;
    while (i + 2 < points.length && points[i + 1][0] <= time) i += 1;
    const [since, span] = [time - points[i][0], points[i + 1][0] - points[i][0]];
    const gain = (points[i + 1][1] - points[i][1]) / span;
    return clamp((areas[i] + since * (points[i][1] + 0.5 * gain * since)) / areas.at(-1));
  };
}

/** The inverse: the first of the shares where the path stands still. */
export function timeAlong(speed) {
  if (!speed.length) return (progress) => progress;
  const progressAt = progressAlong(speed);
  return (progress) => {
    let [low, high] = [0, 1];
    for (let step = 0; step < 48; step += 1) {
      const middle = 0.5 * (low + high);
      [low, high] = progressAt(middle) < progress ? [middle, high] : [low, middle];
    }
    return progress >= 1 ? 1 : low;
  };
}

/** A speed graph's points over the whole clip, and the area under it up to each. */
function speedAreas(speed) {
  const [first, last] = [speed[0], speed.at(-1)];
  const points = [...(first[0] > 0 ? [[0, first[1]]] : []), ...speed, ...(last[0] < 1 ? [[1, last[1]]] : [])];
  const areas = [0];
  for (let i = 1; i < points.length; i += 1) {
    areas.push(areas[i - 1] + 0.5 * (points[i][1] + points[i - 1][1]) * (points[i][0] - points[i - 1][0]));
  }
  return { points, areas };
}

/** The motion and the factor of the focal length after all moves but handheld. */
function applyMoves(plan, progress, base) {
  let [motion, factor] = [base, 1];
  for (const planned of plan.moves) {
    if (planned.move === "handheld") continue;
    const given = amountOf(planned, plan.depth);
    const amount = MOVES[planned.move].angular ? radians(given) : given;
    const share = shareDone(planned, plan.loop, progress);
    motion = math.multiplyMotions(motion, MOTIONS[planned.move](share, amount, plan.depth));
    factor *= focalFactor(planned.move, share, amount, plan.depth);
  }
  return [motion, factor];
}

function shareDone(planned, loop, progress) {
  const there = loop && !closes(planned) ? 1 - Math.abs(2 * progress - 1) : progress;
  return ease(planned.easing, clamp((there - planned.start) / (planned.end - planned.start)));
}

function faceLock(plan, frame, motion) {
  if (plan.look_at === null) return motion;
  const center = math.translationOf(motion);
  const forward = math.subtract(plan.look_at, center);
  if (math.norm(forward) < SMALLEST_DISTANCE) {
    throw new Error(`look_at cannot be faced in frame ${frame}, whose camera stands on that point`);
  }
  return math.fromRotationTranslation(math.lookRotation(forward), center);
}

const [NARROWEST, WIDEST] = FOV_RANGE_DEGREES.map(radians);

function checkFocal(frame, focal) {
  const fov = 2 * Math.atan(0.5 / focal);
  if (!(fov > NARROWEST - 1e-9 && fov < WIDEST + 1e-9)) {
    const got = degrees(fov).toPrecision(4);
    throw new Error(`fov_degrees stays between 0.1 and 179 in every frame, got ${got} in frame ${frame}`);
  }
  return focal;
}

function focalFactor(name, share, amount, depth) {
  if (name === "zoom") return amount ** share;
  return name === "dolly_zoom" ? (depth - amount * share) / depth : 1;
}

// A move: (share done, amount in radians or unit, depth) -> motion in the frame of the camera it starts from.

function travel(direction) {
  return (share, amount) => math.translation(math.scale(direction, share * amount));
}

function turn(rotation) {
  return (share, amount) => math.fromRotationTranslation(rotation(share * amount), [0, 0, 0]);
}

/** A camera that faces the point p from distance r stands at p - r * (its forward direction). */
function circle(rise, end) {
  return (share, amount, depth) => {
    const angle = share * amount;
    const r = math.multiplyRotations(math.rotationY(-angle), math.rotationX(-rise * angle));
    const distance = depth * (1 - (1 - end) * share);
    const center = math.subtract([0, 0, depth], math.scale([r[2], r[5], r[8]], distance));
    return math.fromRotationTranslation(r, center);
  };
}

/** Over amount * place(share) = (right, up, forward), facing the point at `depth`. */
function facing(place) {
  return (share, amount, depth) => {
    const [right, up, forward] = place(share);
    const center = math.scale([right, -up, forward], amount);
    return math.fromRotationTranslation(math.lookRotation(math.subtract([0, 0, depth], center)), center);
  };
}

function boom(share, amount, depth) {
  const angle = share * amount;
  return math.translation(math.scale([0, -Math.sin(angle), 1 - Math.cos(angle)], depth));
}

function flyover(share, amount, depth) {
  const rise = Math.sin(0.5 * Math.PI * share);
  const tilt = radians(FLYOVER_TILT_DEGREES) * Math.min(Math.max(amount / depth, -1), 1);
  return math.fromRotationTranslation(
    math.rotationX(-tilt * rise), math.scale([0, -FLYOVER_RISE * rise, share], amount),
  );
}

const MOTIONS = {
  static: travel([0, 0, 0]),
  pan: turn(math.rotationY),
  tilt: turn(math.rotationX),
  roll: turn(math.rotationZ),
  dolly: travel([0, 0, 1]),
  truck: travel([1, 0, 0]),
  pedestal: travel([0, -1, 0]),
  orbit: circle(0, 1),
  arc: circle(ARC_RISE, 1),
  crane: facing((s) => [0, s, 0]),
  boom,
  push_in: (share, amount) => travel([0, 0, 1])(share * share * (3 - 2 * share), amount),
  pull_back_rise: facing((s) => [0, PULL_BACK_RISE * s, -s]),
  spiral: circle(0, SPIRAL_END),
  figure_8: facing((s) => [Math.sin(2 * Math.PI * s), 0.5 * Math.sin(4 * Math.PI * s), 0]),
  flyover,
  dolly_zoom: travel([0, 0, 1]),
  zoom: travel([0, 0, 0]),
};

// ---- keys

/** progress -> motion on the path through the plan's keys. */
function baseMotion(plan) {
  const keys = openKeys(plan);
  if (!keys.length) return () => math.translation([0, 0, 0]);
  const times = keys.map((key) => key.time);
  const places = segmentsBetween(times, keys.map((key) => key.easing.position), plan.loop);
  const turns = segmentsBetween(times, keys.map((key) => key.easing.rotation), plan.loop);
  const placeAt = vectorCurve(keys.map((key) => key.position), places, keys);
  const turnAt = rotationCurve(keys.map(keyRotation), turns);
  return (progress) => math.fromRotationTranslation(turnAt(progress), placeAt(progress));
}

/** progress -> focal length in picture widths. */
function baseFocal(plan) {
  const keys = openKeys(plan).filter((key) => key.fov_degrees !== undefined);
  const logFocal = (fov) => Math.log(0.5 / Math.tan(0.5 * radians(fov)));
  if (!keys.length) return () => Math.exp(logFocal(plan.fov_degrees));
  const segments = segmentsBetween(keys.map((key) => key.time), keys.map((key) => key.easing.lens), plan.loop);
  const curve = vectorCurve(keys.map((key) => [logFocal(key.fov_degrees)]), segments);
  return (progress) => Math.exp(curve(progress)[0]);
}

/** The keys; of two at the same moment of a loop the first, with the last one's way in. */
function openKeys(plan) {
  if (!meetsItself(plan)) return plan.keys;
  return [{ ...plan.keys[0], handle_in: plan.keys.at(-1).handle_in }, ...plan.keys.slice(1, -1)];
}

function keyRotation({ position, rotation_degrees: turns, look_at: point, roll_degrees: roll }) {
  if (!point) return math.rotationFromPanTiltRoll((turns ?? [0, 0, 0]).map(radians));
  const level = math.lookRotation(math.subtract(point, position));
  return math.multiplyRotations(level, math.rotationZ(radians(roll)));
}

/**
 * The time of one channel between its keys: when each segment starts, how long it takes, whether it is joined (it does
 * not hold), and how fast its time runs at its ends. At a key that is as fast as the slower of its two sides; beyond
 * the ends of an open path the camera rests, unless the clip begins or ends there.
 */
function segmentsBetween(times, easings, loop) {
  const closed = loop && times.length > 1;
  const ends = closed ? [...times, times[0] + 1] : times;
  const count = ends.length - 1;
  const own = easings.slice(0, count).map((easing) => END_SPEEDS[easing]);
  const before = closed ? own[count - 1][1] : Number(times[0] === 0);
  const after = closed ? own[0][0] : Number(times.at(-1) === 1);
  const atKey = ends.map((_, i) => Math.min(i > 0 ? own[i - 1][1] : before, i < count ? own[i][0] : after));
  return {
    closed,
    start: ends.slice(0, count),
    span: own.map((_, i) => ends[i + 1] - ends[i]),
    joined: own.map((_, i) => easings[i] !== "hold"),
    speeds: own.map((_, i) => [atKey[i], atKey[i + 1]]),
  };
}

/** The segment at a moment, and the share of it that is behind. */
function segmentAt({ closed, start, span, joined, speeds }, progress) {
  const time = closed && progress < start[0] ? progress + 1 : progress;
  let index = 0;
  while (index + 1 < start.length && start[index + 1] <= time) index += 1;
  const share = clamp((time - start[index]) / span[index]);
  return [index, joined[index] ? warp(share, ...speeds[index]) : Number(share >= 1)];
}

/** The velocity at each end: the three-point difference over uneven times. */
function tangents({ closed, span, joined }, slopes) {
  const count = span.length;
  const neighbour = (i) => (i >= 0 && i < count ? i : closed ? (i + count) % count : -1);
  return Array.from({ length: count + 1 }, (_, i) => {
    const [left, right] = [neighbour(i - 1), neighbour(i)];
    // A segment counts the more the shorter it is: its weight is the other one's span.
    const before = left >= 0 && joined[left] ? (right >= 0 ? span[right] : 1) : 0;
    const after = right >= 0 && joined[right] ? (left >= 0 ? span[left] : 1) : 0;
    const total = before + after;
    return slopes[0].map((_, axis) =>
      total > 0
        ? (before * (left >= 0 ? slopes[left][axis] : 0) + after * (right >= 0 ? slopes[right][axis] : 0)) / total
        : 0,
    );
  });
}

/** The cubics' ends, and velocity times span there: three times a handle, where there is one. */
function vectorSegments(vectors, segments, handles) {
  const ends = segments.closed ? [...vectors, vectors[0]] : vectors;
  const slopes = segments.span.map((span, i) => ends[i].map((value, axis) => (ends[i + 1][axis] - value) / span));
  const velocities = tangents(segments, slopes);
  const scaled = (vector, factor) => vector.map((value) => value * factor);
  const leaving = segments.span.map((span, i) =>
    handles[i]?.handle_out ? scaled(handles[i].handle_out, 3) : scaled(velocities[i], span));
  const arriving = segments.span.map((span, i) => {
    const into = handles[(i + 1) % handles.length]?.handle_in;
    return into ? scaled(into, -3) : scaled(velocities[i + 1], span);
  });
  return { ends, leaving, arriving };
}

/** progress -> the cubic Hermite curve through vectors of any length. */
function vectorCurve(vectors, segments, handles = []) {
  if (!segments.span.length) return () => [...vectors[0]];
  const { ends, leaving, arriving } = vectorSegments(vectors, segments, handles);
  return (progress) => {
    const [i, s] = segmentAt(segments, progress);
    const rest = 1 - s;
    return ends[i].map((value, axis) => {
      const start = (1 + 2 * s) * value + s * leaving[i][axis];
      const end = (1 + 2 * rest) * ends[i + 1][axis] - rest * arriving[i][axis];
      return rest * rest * start + s * s * end;
    });
  };
}

/** progress -> the curve through rotations, by de Casteljau with slerp. */
function rotationCurve(rotations, segments) {
  if (!segments.span.length) return () => rotations[0];
  const ends = segments.closed ? [...rotations, rotations[0]] : rotations;
  const ways = segments.span.map((_, i) => math.rotationBetween(ends[i], ends[i + 1]));
  const velocities = tangents(segments, segments.span.map((span, i) => math.scale(ways[i], 1 / span)));
  const ahead = (i, time) => math.multiplyRotations(ends[i], math.rotationExp(math.scale(velocities[i], time)));
  // The first level's ways are the same for the whole of a segment.
  const levels = segments.span.map((span, i) => {
    const points = [ends[i], ahead(i, span / 3), ahead(i + 1, -span / 3), ends[i + 1]];
    return { points, ways: points.slice(1).map((next, n) => math.rotationBetween(points[n], next)) };
  });
  return (progress) => {
    const [i, share] = segmentAt(segments, progress);
    const { points, ways: first } = levels[i];
    let level = first.map((way, n) => math.multiplyRotations(points[n], math.rotationExp(math.scale(way, share))));
    while (level.length > 1) level = level.slice(1).map((next, n) => math.slerp(level[n], next, share));
    return level[0];
  };
}

// ---- shake

/** frame -> the motion of a handheld layer. */
function shake(planned, { depth, loop }, frameCount, fps) {
  const [low, high] = SHAKE_FPS_RANGE;
  if (!(fps >= low && fps <= high)) throw new Error(`handheld needs fps from ${low} to ${high}, got ${fps}`);
  const period = loop ? (frameCount - 1) / fps : null;
  const channels = [0, 1, 2, 3, 4, 5].map((channel) => {
    const waves = shakeWaves(planned.seed, channel);
    return period ? wholeCycles(waves, period) : waves;
  });
  const size = amountOf(planned, depth);
  return (frame) => {
    const unit = channels.map((waves) => sumOfSines(waves, frame / fps));
    const rotation = math.rotationExp(math.scale(unit.slice(0, 3), radians(size)));
    return math.fromRotationTranslation(rotation, math.scale(unit.slice(3), TRANSLATION_PER_DEGREE * size * depth));
  };
}

function sumOfSines(waves, seconds) {
  const total = waves.reduce((sum, [hertz, sign]) => sum + sign * Math.sin(2 * Math.PI * hertz * seconds), 0);
  return Math.sqrt(2 / waves.length) * total;
}

/** [hertz, sign] of each sine of a channel, hertz rising. */
function shakeWaves(seed, channel) {
  const [low, high] = BAND_HZ;
  return Array.from({ length: SINES }, (_, part) => {
    const number = 2 * (channel * SINES + part);
    const place = (part + uniform(seed, number)) / SINES;
    return [low * (high / low) ** place, uniform(seed, number + 1) < 0.5 ? 1 : -1];
  });
}

/** The waves at the nearest whole cycles per period within the band, each once. */
function wholeCycles(waves, period) {
  const fewest = Math.max(1, Math.ceil(BAND_HZ[0] * period));
  const most = Math.max(fewest, Math.floor(BAND_HZ[1] * period));
  const cycles = new Map();
  for (const [hertz, sign] of waves) {
    const count = Math.min(Math.max(Math.floor(hertz * period + 0.5), fewest), most);
    if (!cycles.has(count)) cycles.set(count, sign);
  }
  return [...cycles].map(([count, sign]) => [count / period, sign]);
}

/** A number in [0, 1) for each pair of 32-bit integers. */
function uniform(seed, number) {
  return hash((hash(seed) + number) >>> 0) / 2 ** 32;
}

/** A bijection of 32-bit integers that scatters them (C. Wellons, "Prospecting for hash functions", lowbias32). */
function hash(value) {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

// ---- numbers

/** The cubic of s with w(0) = 0, w(1) = 1 and these speeds at its ends. */
function warp(s, speedBefore, speedAfter) {
  const rest = 1 - s;
  return s * (s * (3 - 2 * s) + rest * (speedBefore * rest - speedAfter * s));
}

function clamp(share) {
  return Math.min(Math.max(share, 0), 1);
}

function radians(angle) {
  return (angle * Math.PI) / 180;
}

function degrees(angle) {
  return (angle * 180) / Math.PI;
}
