/** The browser's camera paths against the numbers that Python wrote, and what both refuse. Run by tests/test_web.py. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as math from "../../web/camera_math.mjs";
import * as camera from "../../web/camera_path.mjs";

const golden = JSON.parse(readFileSync(new URL("../golden/camera_paths.json", import.meta.url), "utf8"));
const words = JSON.parse(readFileSync(new URL("../../web/editor/words/en.json", import.meta.url), "utf8"));
const plansOf = (path) => (path.shots ? path.shots.map(({ plan }) => plan) : [path.plan]);
/** The path in a text, as far as the browser's own JSON goes. */
function parsed(text) {
  try {
    return camera.validatePath(JSON.parse(text));
  } catch (error) {
    throw error instanceof SyntaxError ? new Error(`the camera path is not JSON: ${error.message.slice(0, 99)}`) : error;
  }
}

const CLIP = { frameCount: 9, fps: 8, width: 832, height: 480 };

function close(actual, expected, tolerance, what) {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i += 1) {
    const allowed = tolerance * Math.max(1, Math.abs(expected[i]));
    assert.ok(Math.abs(actual[i] - expected[i]) <= allowed, `${what}[${i}]: ${actual[i]} is not ${expected[i]}`);
  }
}

test("the tables are Python's", () => {
  const moves = Object.entries(camera.MOVES).map(([name, { amountKey, default: amount }]) => [
    name,
    { meaning: words[`move ${name}`], amount_key: amountKey, default: amount },
  ]);
  assert.deepEqual(moves, Object.entries(golden.moves));
  assert.deepEqual(camera.EASINGS, golden.easings);
  assert.deepEqual(camera.UNITS, golden.units);
  for (const { angular, amountKey } of Object.values(camera.MOVES)) assert.equal(angular, amountKey === "amount_degrees");
});

test("the nearest frame count is Python's", () => {
  assert.ok(golden.frame_counts.length);
  for (const [frames, nearest] of golden.frame_counts) assert.equal(camera.nearestFrameCount(frames), nearest);
});

test("the cases use every move and every easing", () => {
  const text = JSON.stringify(Object.values(golden.cases).map(({ path }) => path.plan ?? path.shots));
  for (const name of Object.keys(camera.MOVES)) assert.ok(text.includes(`"move":"${name}"`), name);
  for (const name of camera.EASINGS) assert.ok(text.includes(`"${name}"`), name);
});

for (const [name, { path, values, frames }] of Object.entries(golden.cases)) {
  test(`case: ${name}`, () => {
    assert.deepEqual(plansOf(path).map((plan) => camera.validatePlan(plan)), values);
    const made = camera.evaluatePath(parsed(JSON.stringify(path)));
    assert.equal(made.world_from_cam.length, frames.length);
    frames.forEach((frame, number) => {
      close(made.world_from_cam[number], frame.world_from_cam, 1e-9, `world_from_cam of frame ${number}`);
      close(made.K[number], frame.K, 1e-9, `K of frame ${number}`);
    });
  });
}

for (const [name, { text, names }] of Object.entries(golden.refused)) {
  test(`refused: ${name}`, () => {
    const build = () => camera.evaluatePath(parsed(text));
    assert.throws(build, (error) => {
      assert.equal(error.constructor, Error, String(error));
      for (const word of names) assert.ok(error.message.includes(word), `${word} is not in: ${error.message}`);
      assert.ok(!error.message.includes("\n") && error.message.length < 400, error.message);
      return true;
    });
    assert.equal({}.loop, undefined);
  });
}

test("a plan is checked into a deep copy that is checked into itself", () => {
  for (const { path } of Object.values(golden.cases)) {
    const before = JSON.stringify(path);
    for (const plan of plansOf(camera.validatePath(path))) {
      assert.deepEqual(Object.keys(plan), Object.keys(camera.defaultPlan()));
      assert.deepEqual(camera.validatePlan(plan), plan);
      plan.moves.forEach((move) => Object.assign(move, { move: "changed" }));
      plan.keys.forEach((key) => [key.position, key.handle_in ?? [], key.handle_out ?? []].forEach((list) => list.fill(7)));
      plan.speed.forEach((point) => point.fill(7));
    }
    assert.equal(JSON.stringify(path), before);
  }
  assert.deepEqual(camera.validatePath(camera.defaultPath()), camera.defaultPath());
});

test("a baked path comes back as it is", () => {
  const { path, frames } = golden.cases.keys;
  const { plan, frame_count, ...rest } = path;
  const baked = parsed(JSON.stringify({ ...rest, frames }));
  const cameras = camera.evaluatePath(baked);
  assert.deepEqual([...cameras.world_from_cam[3]], frames[3].world_from_cam);
  assert.deepEqual(cameras.K, frames.map(({ K }) => K));
  const wrong = { ...frames[0], world_from_cam: [...frames[0].world_from_cam.slice(0, 12), 0, 0, 0, 2] };
  assert.throws(() => camera.validatePath({ ...rest, frames: [frames[0], wrong] }), /frame 1 .* last row/);
  const flat = { ...frames[0], K: [-1, 1, 0, 0] };
  assert.throws(() => camera.validatePath({ ...rest, frames: [flat] }), /frame 0 has a focal length/);
  for (const first of ["x", 1.5, true, 2e6]) {
    assert.throws(() => camera.validatePath({ ...rest, frames, first_frame: first }), /first_frame is a whole number/);
  }
  assert.deepEqual(camera.validatePath({ ...rest, frames, first_frame: 1001 }).frames.length, frames.length);
  const mirror = { ...frames[0], world_from_cam: [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1] };
  assert.throws(() => camera.validatePath({ ...rest, frames: [mirror] }), /frame 0 has a rotation that mirrors/);
});

test("a key made of a camera is that camera", () => {
  for (const angles of [[0.3, -0.4, 0.5], [-3, 1.2, 3], [0.7, Math.PI / 2, 0], [2, -Math.PI / 2, 0]]) {
    const motion = math.fromRotationTranslation(math.rotationFromPanTiltRoll(angles), [1, -2, 3]);
    const key = camera.keyFromCamera(motion, { time: 0.25, fovDegrees: 40 });
    const made = camera.evaluatePlan({ keys: [key] }, { ...CLIP, frameCount: 1 });
    close(made.world_from_cam[0], motion, 1e-12, "world_from_cam");
    close([camera.fovDegreesFromK(made.K[0], CLIP.width)], [40], 1e-12, "fov");
  }
});

test("turning a loop on makes room for the way back", () => {
  const keys = [0, 0.25, 1].map((time) => ({ time, position: [time, 0, 0] }));
  assert.throws(() => camera.validatePlan({ keys, loop: true }), /keys\[2\]\.time/);
  const looped = camera.loopedPlan({ keys });
  // Three keys had two segments and now have three: the times shrink to two thirds.
  close(looped.keys.map(({ time }) => time), [0, 0.5 / 3, 2 / 3], 1e-15, "times");
  const { world_from_cam: motions } = camera.evaluatePlan(looped, CLIP);
  close(motions.at(-1), motions[0], 1e-12, "the last camera");
  const short = camera.loopedPlan({ keys: keys.slice(0, 2) });
  close(short.keys.map(({ time }) => time), [0, 0.25], 1e-15, "times that leave room stay");
});

test("the time of a share of the path is the inverse of the share of a time", () => {
  const speed = [[0.1, 0.5], [0.4, 3], [0.8, 0.2]];
  const [there, back] = [camera.progressAlong(speed), camera.timeAlong(speed)];
  for (const time of [0, 0.05, 0.3, 0.41, 0.79, 0.99, 1]) close([back(there(time))], [time], 1e-9, `time ${time}`);
  assert.equal(camera.timeAlong([])(0.3), 0.3);
});

test("a motion and its inverse are nothing", () => {
  const motion = math.fromRotationTranslation(math.rotationFromPanTiltRoll([0.3, -0.2, 1]), [1, -2, 3]);
  close(math.multiplyMotions(math.inverseMotion(motion), motion), math.translation([0, 0, 0]), 1e-12, "motion");
});
