// The parts of the builder's editor that need no browser: view, edits, state with undo, speeds, what a node says.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

import * as math from "../../web/camera_math.mjs";
import {
  defaultPath, EASINGS, evaluatePath, evaluatePlan, loopedPlan, MOVES, openedPlan, steadyCamera, validatePath, validatePlan,
} from "../../web/camera_path.mjs";
import * as edits from "../../web/editor/edits.mjs";
import { withStroke } from "../../web/editor/freehand.mjs";
import { withMovesAsKeys } from "../../web/editor/keys_of_moves.mjs";
import { clipOf, originOf, viewPathOf, withClip } from "../../web/editor/node_clip.mjs";
import { speedColor, speedsOf, spread } from "../../web/editor/speeds.mjs";
import { readValue, Store, writeValue } from "../../web/editor/store.mjs";
import { cutAtPixel, keyAtPixel, timeOfX, xOfTime } from "../../web/editor/timeline.mjs";
import * as view from "../../web/editor/view.mjs";

const CLIP = { frameCount: 9, fps: 8, width: 64, height: 32 };
const near = (found, expected, tolerance = 1e-9) => {
  assert.equal(found.length, expected.length);
  found.forEach((value, index) => assert.ok(Math.abs(value - expected[index]) <= tolerance, `${found} is not ${expected}`));
};
const plan = (change = {}) => validatePlan(change);
const keys = (...positions) => positions.map((position, index) => ({ time: index / Math.max(positions.length - 1, 1), position }));

// ---- view

test("a view straight ahead sees as a camera at its eye does", () => {
  const camera = view.viewCamera({ target: [0, 0, 0], yaw: 0, pitch: 0, distance: 2 }, [400, 300]);
  near(camera.center, [0, 0, -2]);
  near(camera.forward, [0, 0, 1]);
  near(view.project(camera, [0, 0, 0]), [200, 150]);
  // 150 pixels are half the smaller side, at tan(0.4) times the distance.
  near(view.project(camera, [2 * Math.tan(0.4), 0, 0]), [350, 150]);
  near(view.project(camera, [0, 2 * Math.tan(0.4), 0]), [200, 300]);
  assert.equal(view.project(camera, [0, 0, -3]), null);
});

test("a view from above looks down, and its axes are a rotation", () => {
  const camera = view.viewCamera({ target: [1, 2, 3], yaw: 0.4, pitch: 1.2, distance: 5 }, [400, 300]);
  assert.ok(camera.center[1] < 2, "up is -y");
  assert.ok(camera.forward[1] > 0.9);
  near(view.project(camera, [1, 2, 3]), [200, 150]);
  const axes = [camera.right, camera.down, camera.forward];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  axes.forEach((a, i) => axes.forEach((b, j) => assert.ok(Math.abs(dot(a, b) - (i === j ? 1 : 0)) < 1e-12)));
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  near(cross(camera.right, camera.down), camera.forward);
});

test("dragging a point in the plane of the screen brings it under the pointer", () => {
  const camera = view.viewCamera({ target: [0.3, -0.2, 1], yaw: -0.7, pitch: 0.5, distance: 4 }, [500, 300]);
  const point = [0.5, -0.1, 0.4];
  const moved = point.map((value, axis) => value + view.inScreenPlane(camera, point, 37, -21)[axis]);
  const [before, after] = [view.project(camera, point), view.project(camera, moved)];
  near([after[0] - before[0], after[1] - before[1]], [37, -21]);
});

test("dragging along an axis moves along it only, as far as the pointer goes along its picture", () => {
  const camera = view.viewCamera({ target: [0, 0, 0], yaw: 0, pitch: 0, distance: 2 }, [400, 300]);
  const offset = view.alongAxis(camera, [0, 0, 0], [1, 0, 0], 30, 999);
  near([offset[1], offset[2]], [0, 0]);
  near(view.project(camera, offset), [230, 150], 1e-6);
  assert.deepEqual(view.alongAxis(camera, [0, 0, 0], [0, 0, 1], 30, 30), [0, 0, 0], "an axis seen end on stays");
});

test("a segment through the eye's plane keeps its front part", () => {
  const camera = view.viewCamera({ target: [0, 0, 0], yaw: 0, pitch: 0, distance: 2 }, [400, 300]);
  const whole = view.projectSegment(camera, [0.1, 0, 0], [0.1, 0, 4]);
  const cut = view.projectSegment(camera, [0.1, 0, -8], [0.1, 0, 4]);
  near(cut[1], whole[1]);
  assert.ok(cut[0][0] > whole[0][0], "the cut end lies further out");
  assert.equal(view.projectSegment(camera, [0, 0, -8], [0, 0, -3]), null);
});

test("framing shows all points, not too small, and keeps the direction", () => {
  const points = [[0, 0, 0], [3, -1, 2], [-1, 0.5, 4]];
  const start = { target: [9, 9, 9], yaw: -0.75, pitch: 0.5, distance: 1 };
  const framed = view.framed(start, points, [400, 200]);
  assert.deepEqual([framed.yaw, framed.pitch], [start.yaw, start.pitch]);
  const pixels = points.map((point) => view.project(view.viewCamera(framed, [400, 200]), point));
  pixels.forEach(([x, y]) => assert.ok(x > 0 && x < 400 && y > 0 && y < 200, `${x}, ${y}`));
  const spans = [0, 1].map((axis) => Math.max(...pixels.map((p) => p[axis])) - Math.min(...pixels.map((p) => p[axis])));
  assert.ok(spans[0] > 200 || spans[1] > 100, `${spans}`);
});

test("framing keeps clear of the inset, whatever shape the path has", () => {
  const size = [480, 200];
  const inset = [320, 6, 154, 80];
  for (const points of [[[0, 0, 0], [3, -1, 2], [-1, 0.5, 4]], [[0, 0, 0], [0.1, 0, 6]], [[0, 0, 0], [0, -4, 0.1]], [[-5, 0, 0], [5, 0, 0]]]) {
    for (const yaw of [-0.75, 0, 2]) {
      const found = view.framed({ target: [9, 9, 9], yaw, pitch: 0.5, distance: 1 }, points, size, { inset });
      for (const point of points) {
        const [x, y] = view.project(view.viewCamera(found, size), point);
        assert.ok(x > 0 && x < size[0] && y > 0 && y < size[1], `${x}, ${y}`);
        assert.ok(x < inset[0] || y > inset[1] + inset[3], `${x}, ${y} lies under the inset`);
      }
    }
  }
});

test("the views from above and from the side keep proportions, and a pixel is a place", () => {
  const where = { target: [1, 2, 3], yaw: 9, pitch: 9, distance: 4 };
  const top = view.planCamera("top", where, [400, 300]);
  const [a, b] = [view.project(top, [1, -7, 3]), view.project(top, [2, 50, 4])];
  near(a, [200, 150]);
  assert.ok(b[0] > a[0] && b[1] < a[1] && Math.abs(b[0] - a[0] + b[1] - a[1]) < 1e-9, "right is right, forward is up");
  near(view.onPlane(top, b, [0, 5, 0], [0, 1, 0]), [2, 5, 4]);
  const side = view.planCamera("side", where, [400, 300]);
  assert.ok(view.project(side, [0, 2, 4])[0] > 200 && view.project(side, [0, 1, 3])[1] < 150, "forward is right, -y is up");
  const free = view.viewCamera({ ...where, yaw: 0.3, pitch: 0.6 }, [400, 300]);
  near(view.onPlane(free, view.project(free, [1.5, 2, 3.5]), [0, 2, 0], [0, 1, 0]), [1.5, 2, 3.5], 1e-6);
  assert.equal(view.onPlane(free, [200, -5000], [0, 2, 0], [0, 1, 0]), null, "above the horizon");
});

test("orbit, pan and zoom", () => {
  const start = { target: [0, 0, 0], yaw: 0, pitch: 1.5, distance: 2 };
  assert.ok(view.orbited(start, 0, 1000).pitch < Math.PI / 2, "never over the pole");
  const panned = view.panned({ ...start, pitch: 0 }, 10, 0, [400, 300]);
  near(view.project(view.viewCamera(panned, [400, 300]), [0, 0, 0]), [210, 150], 1e-6);
  assert.ok(view.zoomed(start, -100).distance < 2 && view.zoomed(start, 100).distance > 2);
});

test("the nearest pixel within reach, hidden ones left out", () => {
  assert.equal(view.nearestPixel([[0, 0], null, [6, 0]], [5, 0], 3), 2);
  assert.equal(view.nearestPixel([[0, 0], null], [5, 0], 3), -1);
});

// ---- edits

test("a preset replaces the layer it is given and goes on top otherwise; lengths count in the depth", () => {
  const start = plan({ depth: 2, moves: [{ move: "pan" }] });
  const replaced = edits.withPreset(start, "dolly", 0);
  assert.deepEqual(replaced.moves.map(({ move, amount }) => [move, amount]), [["dolly", MOVES.dolly.default * 2]]);
  assert.deepEqual(edits.withPreset(start, "handheld", -1).moves.map(({ move }) => move), ["pan", "handheld"]);
  for (const move of Object.keys(MOVES)) validatePlan(edits.withPreset(start, move, -1));
  assert.deepEqual(start.moves.map(({ move }) => move), ["pan"], "no argument is changed");
});

test("layers move, change and go", () => {
  const start = plan({ moves: [{ move: "pan" }, { move: "tilt" }] });
  const names = ({ moves }) => moves.map(({ move }) => move);
  assert.deepEqual(names(edits.withMoveShifted(start, 0, 1)), ["tilt", "pan"]);
  assert.equal(edits.withMoveShifted(start, 0, -1), start);
  assert.deepEqual(names(edits.withoutMove(start, 0)), ["tilt"]);
  assert.equal(edits.withMove(start, 1, { amount_degrees: 7 }).moves[1].amount_degrees, 7);
});

test("the first key of a path of moves leaves the path where it is, and its start when it is moved", () => {
  const start = plan({ moves: [{ move: "orbit", amount_degrees: 40 }] });
  const [keyed, index] = edits.withKeyAt(start, 4, CLIP);
  assert.equal(index, 1);
  assert.deepEqual(keyed.keys.map(({ time }) => time), [0, 0.5]);
  const [before, after, moved] = [start, keyed, edits.withKeyMoved(keyed, 1, [1, 0, 0])].map((one) => evaluatePlan(one, CLIP).world_from_cam);
  before.forEach((motion, frame) => near(Array.from(after[frame]), Array.from(motion), 1e-6));
  near(Array.from(moved[0]), Array.from(before[0]), 1e-6);
  assert.equal(edits.withKeyAt(start, 0, CLIP)[0].keys.length, 1);
});

test("a key in between stands on the path, and one that is there already is found again", () => {
  const start = plan({ keys: keys([0, 0, 0], [1, 0, 0]) });
  const [keyed, index] = edits.withKeyAt(start, 2, CLIP);
  assert.equal(index, 1);
  near(keyed.keys[1].position, [0.25, 0, 0], 1e-6);
  assert.deepEqual(edits.withKeyAt(keyed, 2, CLIP), [keyed, 1]);
  assert.equal(edits.withoutKey(keyed, 1).keys.length, 2);
});

test("keys keep their order in time", () => {
  const start = plan({ keys: keys([0, 0, 0], [1, 0, 0], [2, 0, 0]) });
  const late = edits.withKeyTime(start, 1, 1.7);
  assert.ok(late.keys[1].time < 1 && late.keys[1].time > 0.99);
  assert.equal(edits.withKeyTime(start, 2, 7).keys[2].time, 1);
  validatePlan(late);
});

test("a key that faces a point faces where it looked before, and angles bring it back", () => {
  const turned = { keys: [{ time: 0, position: [1, 0, 0], rotation_degrees: [30, 10, 5] }], depth: 2 };
  const motion = (one) => evaluatePlan(one, { ...CLIP, frameCount: 1 }).world_from_cam[0];
  const start = plan(turned);
  const facing = edits.withKeyFacing(start, 0, true);
  // Two units ahead, at a pan of 30 and a tilt of 10 degrees: (sin 30 cos 10, -sin 10, cos 30 cos 10).
  near(facing.keys[0].look_at, [1 + 2 * 0.492404, -2 * 0.173648, 2 * 0.852869], 1e-5);
  assert.equal("rotation_degrees" in facing.keys[0], false);
  near(Array.from(motion(plan(facing))), Array.from(motion(start)), 1e-5);
  const back = edits.withKeyFacing(plan(facing), 0, false);
  near(back.keys[0].rotation_degrees, [30, 10, 5], 1e-4);
});

// How far keys leave the path of a plan: share of its size, degrees, share of the focal length.
function leaves(before, after, moments = 1500) {
  const [a, b] = [before, after].map((one) => steadyCamera(validatePlan(one)));
  const worst = [0, 0, 0];
  const places = [];
  for (let i = 0; i <= moments; i += 1) {
    const [[m, f], [n, g]] = [a(i / moments), b(i / moments)];
    places.push(math.translationOf(m));
    worst[0] = Math.max(worst[0], math.norm(math.subtract(places.at(-1), math.translationOf(n))));
    const turn = math.multiplyRotations(math.transpose(math.rotationOf(m)), math.rotationOf(n));
    worst[1] = Math.max(worst[1], (math.norm(math.rotationLog(turn)) * 180) / Math.PI);
    worst[2] = Math.max(worst[2], Math.abs(Math.log(f / g)));
  }
  const extents = [0, 1, 2].map((axis) => Math.max(...places.map((p) => p[axis])) - Math.min(...places.map((p) => p[axis])));
  return [worst[0] / Math.max(math.norm(extents), 1e-3), worst[1], worst[2]];
}
const LARGE = {
  pan: { amount_degrees: 360 }, tilt: { amount_degrees: 60 }, roll: { amount_degrees: -200 }, orbit: { amount_degrees: 360 },
  arc: { amount_degrees: 150 }, boom: { amount_degrees: 360 }, spiral: { amount_degrees: 400 }, figure_8: { amount: 0.5 },
  crane: { amount: 2 }, push_in: { amount: 0.9 }, pull_back_rise: { amount: 2 }, flyover: { amount: 2 }, zoom: { factor: 3 },
};

for (const name of Object.keys(MOVES)) {
  test(`${name} becomes keys that stay within 0.5% and 0.3 degrees of its path`, () => {
    const layer = name === "handheld" ? [{}] : EASINGS.flatMap((easing) => [{ easing }, { easing, start: 0.2, end: 0.7 }]);
    for (const loop of [false, true]) {
      for (const window of layer) {
        for (const amount of [{}, LARGE[name] ?? {}]) {
          const start = plan({ loop, moves: [{ move: name, ...window, ...amount }] });
          const keyed = withMovesAsKeys(start);
          const told = JSON.stringify(start);
          const [place, turn, lens] = leaves(start, keyed);
          assert.ok(place < 0.005 && turn < 0.3 && lens < 0.005, `${told}: ${[place, turn, lens]}`);
          assert.ok(keyed.keys.length <= 45, `${told}: ${keyed.keys.length} keys`);
          assert.deepEqual(keyed.moves, name === "handheld" ? start.moves : []);
          assert.equal(validatePlan(keyed).loop, loop);
        }
      }
    }
  });
}

test("moves on keys, with speed, lens and shake, become keys too", () => {
  const start = plan({
    speed: [[0, 0.2], [1, 2]], moves: [{ move: "orbit", amount_degrees: 90, easing: "smooth" }, { move: "zoom" }, { move: "handheld", seed: 2 }],
    keys: [{ time: 0, position: [0, 0, 0] }, { time: 0.5, position: [0.3, -0.2, 0.1], rotation_degrees: [20, 0, 5] }, { time: 1, position: [1, 0, 0] }],
  });
  const keyed = withMovesAsKeys(start);
  const [place, turn, lens] = leaves(start, keyed);
  assert.ok(place < 0.005 && turn < 0.3 && lens < 0.005, `${[place, turn, lens]}`);
  assert.deepEqual([keyed.moves.map(({ move }) => move), keyed.speed], [["handheld"], start.speed]);
});

test("channels that jump while others glide become keys too", () => {
  const held = { position: "hold", rotation: "ease_out", lens: "linear" };
  const turning = { position: "ease_in", rotation: "hold", lens: "smooth" };
  const two = (easing) => [{ time: 0, position: [0.5, 0, 0.8], rotation_degrees: [45, 9, 0], easing }, { time: 0.562310987, position: [0, 0.3, 0] }];
  const holds = [{ move: "arc", easing: "hold", start: 0.236, end: 0.384, amount_degrees: -170 }, { move: "truck", easing: "hold", end: 0.398 }];
  const kink = [{ move: "spiral", start: 0.142, end: 0.191 }, { move: "truck" }];
  for (const start of [
    { moves: [{ move: "spiral", easing: "smooth" }], keys: two(held) }, { moves: [{ move: "flyover" }], keys: two(turning), loop: true },
    { moves: holds, loop: true }, { moves: kink, loop: true, look_at: [0.3, 0.4, 3.6] }, { moves: [{ move: "orbit" }], depth: 1e-3 },
  ]) {
    const [place, turn, lens] = leaves(plan(start), withMovesAsKeys(plan(start)));
    assert.ok(place < 0.005 && turn < 0.3 && lens < 0.005, `${JSON.stringify(start)}: ${[place, turn, lens]}`);
  }
});

test("a key on a curve with handles leaves the curve where it is", () => {
  const start = plan({
    keys: [{ time: 0, position: [0, 0, 0], handle_out: [0, 0, 1] }, { time: 1, position: [1, 0, 1], handle_in: [0, -1, 0] }],
  });
  const [keyed, index] = edits.withKeyAt(start, 2, CLIP);
  assert.equal(index, 1);
  // The curve runs at another pace between its new ends: every point of the new one lies on the old one.
  const old = Array.from({ length: 4001 }, (_, i) => math.translationOf(steadyCamera(start)(i / 4000)[0]));
  for (let i = 0; i <= 40; i += 1) {
    const point = math.translationOf(steadyCamera(validatePlan(keyed))(i / 40)[0]);
    assert.ok(Math.min(...old.map((other) => math.norm(math.subtract(other, point)))) < 5e-4, `${i}`);
  }
});

test("a handle turns its opposite with it, at the same speed on both sides", () => {
  const start = plan({ keys: keys([0, 0, 0], [1, 0, 0], [2, 0, 0]) });
  near(edits.handlesOf(start, 1)[1], [1 / 3, 0, 0]);
  assert.equal(edits.handlesOf(start, 0)[0], null);
  const turned = edits.withHandle(start, 1, 1, [0, 0, 0.5]);
  near(turned.keys[1].handle_in, [0, 0, -0.5], 1e-6);
  const uneven = plan({ loop: true, keys: [0, 0.2, 0.5].map((time) => ({ time, position: [time, 0, 0] })) });
  near(edits.withHandle(uneven, 1, 1, [0, 0, 0.3]).keys[1].handle_in, [0, 0, -0.2], 1e-6);
  // The way back to the first key takes half of the clip.
  near(edits.withHandle(uneven, 0, 1, [0, 0, 0.1]).keys[0].handle_in, [0, 0, -0.25], 1e-6);
  const broken = edits.withHandle(start, 1, 1, [0, 0, 0.5], false);
  assert.equal("handle_in" in broken.keys[1], false);
  near(edits.handlesOf(validatePlan(turned), 1)[1], [0, 0, 0.5]);
});

test("turning the camera in its view turns its key, whatever moves lie on it", () => {
  const start = plan({ moves: [{ move: "orbit", amount_degrees: 60 }], keys: keys([0, 0, 0], [0.5, 0, 0]) });
  const change = math.fromRotationTranslation(math.rotationY(0.2), [0.1, 0, 0.3]);
  const [turned, index] = edits.withCameraChanged(start, 3, CLIP, change);
  const before = evaluatePlan(start, CLIP).world_from_cam[3];
  near(Array.from(evaluatePlan(turned, CLIP).world_from_cam[3]), Array.from(math.multiplyMotions(before, change)), 1e-5);
  assert.deepEqual([index, turned.keys.length], [1, 3]);
});

test("a loop can be ticked with keys at both ends, and unticked again", () => {
  const start = plan({ keys: keys([0, 0, 0], [1, 0, 0], [1, 0, 1]) });
  const looped = loopedPlan(start);
  assert.equal(validatePlan(looped).loop, true);
  near(openedPlan(looped).keys.map(({ time }) => time), [0, 0.5, 1], 1e-12);
});

// ---- freehand

test("a drawn circle becomes a few curves on the circle, a loop that faces its middle", () => {
  const stroke = Array.from({ length: 90 }, (_, i) => [Math.sin((i * 2 * Math.PI) / 89), 0, Math.cos((i * 2 * Math.PI) / 89)]);
  const made = validatePlan(withStroke(plan({ moves: [{ move: "orbit" }, { move: "handheld" }] }), stroke, { aim: "subject", subject: [0, 0, 0] }));
  assert.ok(made.loop && made.keys.length <= 8, `${made.keys.length}`);
  assert.deepEqual(made.moves.map(({ move }) => move), ["handheld"]);
  const { world_from_cam: motions } = evaluatePlan({ ...made, moves: [] }, { ...CLIP, frameCount: 65 });
  motions.forEach((motion) => {
    const center = math.translationOf(motion);
    assert.ok(Math.abs(math.norm(center) - 1) < 0.02, `${center}`);
    assert.ok(math.dot([motion[2], motion[6], motion[10]], center) < -0.97, "it faces the middle");
  });
  const steps = motions.slice(1).map((motion, i) => math.norm(math.subtract(math.translationOf(motion), math.translationOf(motions[i]))));
  assert.ok(Math.max(...steps) < 1.5 * Math.min(...steps), "at even speed");
});

test("a drawn line looks where it goes", () => {
  const stroke = Array.from({ length: 30 }, (_, i) => [i / 10, 0, i / 10]);
  const made = validatePlan(withStroke(plan(), stroke, { aim: "path", subject: [0, 0, 1] }));
  assert.equal(made.loop, false);
  made.keys.forEach(({ rotation_degrees: [pan, tilt, roll] }) => near([pan, tilt, roll], [45, 0, 0], 0.5));
  assert.equal(withStroke(plan(), [[0, 0, 0]], { aim: "path", subject: [0, 0, 1] }).keys.length, 0, "a dot is no path");
});

// ---- shots

test("a cut begins a shot where the camera stood, and shots move and go", () => {
  const clip = { ...CLIP, frameCount: 16 };
  const path = { ...defaultPath(), plan: plan({ fov_degrees: 40, moves: [{ move: "truck", amount: 1.5 }] }) };
  const cut = validatePath(edits.withCut(path, 10, clip));
  assert.equal(cut.shots.length, 2);
  const cameras = evaluatePath({ ...cut, frame_count: 16 });
  near(math.translationOf(cameras.world_from_cam[10]), [1, 0, 0], 1e-6);
  near(math.translationOf(cameras.world_from_cam[15]), [1, 0, 0], 1e-6);
  near(math.translationOf(cameras.world_from_cam[9]), [1.5, 0, 0], 1e-6);
  assert.equal(edits.withCut(cut, 10, clip), cut, "no shot without a frame");
  assert.equal(edits.withShotStart(cut, 1, 99, clip).shots[1].start, 15 / 16);
  assert.equal(edits.withShotPlan(cut, 1, plan({ depth: 5 })).shots[1].plan.depth, 5);
  assert.deepEqual(edits.withoutShot(cut, 1).plan, cut.shots[0].plan);
  assert.deepEqual(edits.withoutShot(cut, 0).plan, cut.shots[1].plan);
});

// ---- state

test("undo and redo travel through edits, and a drag is one step", () => {
  const store = new Store({ plan: {} });
  const depth = () => store.state.path.plan.depth;
  const edit = (value, gesture) => store.edit({ ...store.state.path, plan: { ...store.state.path.plan, depth: value } }, gesture);
  edit(2, "drag");
  edit(3, "drag");
  store.endGesture();
  edit(4, "drag");
  store.undo();
  assert.equal(depth(), 3);
  store.undo();
  assert.equal(depth(), 1);
  assert.equal(store.canUndo, false);
  store.redo();
  assert.equal(depth(), 3);
  edit(5);
  assert.equal(store.canRedo, false, "an edit ends the future");
});

test("an edit that makes no sense is refused in words and changes nothing", () => {
  const store = new Store({ plan: { moves: [{ move: "pan", amount_degrees: 10 }] } });
  let heard = 0;
  store.subscribe(() => (heard += 1));
  const edit = (change) => store.edit({ ...store.state.path, plan: { ...store.state.path.plan, ...change } });
  edit({ moves: [{ move: "pan", start: 0.5, end: 0.2 }] });
  assert.match(store.notice, /^Not changed: .*start/);
  assert.equal(store.state.path.plan.moves[0].amount_degrees, 10);
  assert.equal(store.canUndo, false);
  assert.equal(heard, 1);
  edit({ depth: 2 });
  assert.equal(store.notice, "");
});

test("what is no path is kept as it was found", () => {
  for (const found of ["{ not json", "[1, 2]", '{"plan": {"moves": 7}}', { plan: { keys: "x" } }, 42]) {
    const state = readValue(found);
    assert.equal(state.path, null);
    assert.match(state.fault, typeof found === "string" && found.startsWith("{ not") ? /not JSON/ : /\w+ \w+/);
    const kept = writeValue(state);
    assert.deepEqual(typeof found === "string" ? kept : JSON.parse(kept), found);
  }
  const store = new Store("{ not json");
  store.replace(defaultPath());
  store.undo();
  assert.equal(writeValue(store.state), "{ not json", "a new path is an edit like any other");
});

test("text, an object and nothing at all are read, and a lone plan is completed", () => {
  assert.deepEqual(readValue('{"plan": {"depth": 2}}').path, readValue({ plan: { depth: 2 } }).path);
  assert.deepEqual(readValue(null).path, defaultPath());
  assert.equal(readValue({ plan: {} }).path.frame_count, defaultPath().frame_count);
});

test("a list of cameras is a path too, without a plan", () => {
  const frame = { world_from_cam: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], K: [50, 50, 32, 16] };
  const { plan: none, frame_count: count, ...rest } = defaultPath();
  const { path } = readValue({ ...rest, frames: [frame, frame] });
  assert.equal(path.frames.length, 2);
  assert.equal(path.plan, undefined);
});

// ---- speeds and time line

test("speeds of a truck and of a pan", () => {
  const motions = (move) => evaluatePlan({ moves: [move] }, CLIP).world_from_cam;
  const truck = speedsOf(motions({ move: "truck", amount: 2 }), CLIP.fps);
  assert.equal(truck.travel.length, 8);
  truck.travel.forEach((speed) => near([speed], [2])); // 2 units in 8 steps of 1/8 s
  truck.turn.forEach((speed) => near([speed], [0], 1e-6));
  speedsOf(motions({ move: "pan", amount_degrees: 40 }), CLIP.fps).turn.forEach((speed) => near([speed], [40], 1e-6));
  assert.notEqual(speedColor(0), speedColor(1));
});

test("a spread keeps both ends and never repeats", () => {
  assert.deepEqual(spread(81, 9), [0, 10, 20, 30, 40, 50, 60, 70, 80]);
  assert.deepEqual(spread(3, 9), [0, 1, 2]);
  assert.deepEqual(spread(1, 9), [0]);
});

test("the time line's pixels and times are each other's inverse", () => {
  near([timeOfX(xOfTime(0.3, 400), 400)], [0.3]);
  assert.deepEqual([timeOfX(-50, 400), timeOfX(999, 400)], [0, 1]);
  const two = plan({ keys: keys([0, 0, 0], [1, 0, 0]) });
  const times = two.keys.map(({ time }) => time);
  assert.equal(keyAtPixel(times, [xOfTime(1, 400) - 3, 12], 400), 1);
  assert.equal(keyAtPixel(times, [200, 12], 400), -1);
  assert.equal(cutAtPixel([0, 5, 9], [xOfTime(4.5 / 8, 400) + 4, 40], 400), 1);
  assert.equal(cutAtPixel([0, 5, 9], [xOfTime(0, 400), 40], 400), -1);
});

// ---- the node around it

const widget = (name, value) => ({ name, value });

test("the clip is the widgets', of a linked one the last run's", () => {
  const node = { widgets: [widget("frames", 33), widget("fps", 16), widget("unit", "metre")], inputs: [{ name: "frames", link: 4 }] };
  const fallback = { frameCount: 81, fps: 24, width: 832, height: 480, unit: "near_depth" };
  assert.deepEqual(clipOf(node, null, fallback), { frameCount: 33, fps: 16, width: 832, height: 480, unit: "metre" });
  assert.equal(clipOf(node, { frames: 49, fps: 99 }, fallback).frameCount, 49);
  assert.equal(clipOf(node, { frames: 49, fps: 99 }, fallback).fps, 16);
  assert.deepEqual(clipOf({ widgets: [widget("frames", "x"), widget("fps", -1)] }, null, fallback), fallback);
});

test("the stored path carries the clip, and text stays text", () => {
  const stored = withClip(defaultPath(), { frameCount: 5, fps: 8, width: 64, height: 32, unit: "metre" });
  assert.deepEqual([stored.frame_count, stored.fps, stored.width, stored.unit], [5, 8, 64, "metre"]);
  assert.equal(withClip("{ not json", CLIP), "{ not json");
});

test("where the linked picture lies", () => {
  const origin = { widgets: [widget("image", "shots/a & b.png [output]")] };
  assert.equal(viewPathOf(origin, undefined), "/view?filename=a+%26+b.png&subfolder=shots&type=output");
  assert.equal(viewPathOf({ widgets: [widget("image", "c.png")] }), "/view?filename=c.png&subfolder=&type=input");
  const outputs = { images: [{ filename: "t.png", subfolder: "", type: "temp" }] };
  assert.equal(viewPathOf(origin, outputs), "/view?filename=t.png&subfolder=&type=temp");
  assert.equal(viewPathOf({}, undefined), null);
  const node = { inputs: [{ name: "frames" }, { name: "image" }], getInputNode: (slot) => (slot === 1 ? origin : null) };
  assert.equal(originOf(node, "image"), origin);
  assert.equal(originOf({}, "image"), null);
});

// ---- the files

test("raxel.js asks anew for every module that there is, and is the one .js file", async () => {
  const web = new URL("../../web/", import.meta.url);
  const files = (await readdir(web, { recursive: true })).map((name) => name.replaceAll("\\", "/"));
  const listed = [.../const MODULES = \[([^\]]*)\]/.exec(await readFile(new URL("raxel.js", web), "utf8"))[1].matchAll(/"([^"]+)"/g)];
  const modules = files.filter((name) => name.endsWith(".mjs")).map((name) => name.slice(0, -4));
  assert.deepEqual(listed.map(([, name]) => name).sort(), modules.sort());
  assert.deepEqual(files.filter((name) => name.endsWith(".js")), ["raxel.js"]);
});

test("every move and every button has its icon", async () => {
  const web = new URL("../../web/editor/", import.meta.url);
  const icons = await readFile(new URL("icons.svg", web), "utf8");
  const used = [...(await readFile(new URL("editor.mjs", web), "utf8")).matchAll(/iconButton\("(\w+)"/g)].map(([, name]) => name);
  for (const name of [...Object.keys(MOVES), ...used, "up", "down", "remove", "pause"]) assert.ok(icons.includes(`id="${name}"`), name);
});

test("the editor's scripts stay small", async () => {
  const web = new URL("../../web/", import.meta.url);
  const files = (await readdir(web, { recursive: true })).filter((name) => /\.m?js$/.test(name) && name !== "camera_files.mjs");
  const sizes = await Promise.all(files.map(async (name) => (await readFile(new URL(name, web))).length));
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 200 * 1024, `${sizes}`);
});

test("no module writes HTML", async () => {
  const web = new URL("../../web/", import.meta.url);
  const files = (await readdir(web, { recursive: true })).filter((name) => /\.m?js$/.test(name));
  for (const name of files) {
    const text = await readFile(new URL(name, web), "utf8");
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/, name);
  }
});

// ---- words

const WORDS = new URL("../../web/editor/words/", import.meta.url);
const wordsOf = async (language) => JSON.parse(await readFile(new URL(`${language}.json`, WORDS), "utf8"));
const hashes = (text) => text.split("#").length;
// Texts that the code gives to an element, a button, a field or the canvas.
const SHOWN = [
  /\b(?:title|label|textContent|placeholder|"aria-label"): "([^"]+)"/g, /\bsaid\("([^"]+)"/g, /\b(?:cell|quiet|act|of|label)\("([^"]+)"/g,
  /\biconButton\("\w+", "([^"]+)"/g, /\b(?:wordButton|act)\("[^"]+", "([^"]+)"/g, /\[\["?\w+"?, "([^"]+)"\]/g, /\blabel\(ctx, [^"]*"([^"]+)"/g,
];

test("every language has the same words, and numbers where the English has them", async () => {
  const [zh, ja, ko, en] = await Promise.all(["zh", "ja", "ko", "en"].map(wordsOf));
  for (const words of [zh, ja, ko]) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(zh).sort());
    for (const [text, told] of Object.entries(words)) assert.equal(hashes(told), hashes(text), `${text}: ${told}`);
    for (const id of Object.keys(en)) assert.notEqual(words[id], en[id]);
  }
});

test("what the editor shows has words in every language", async () => {
  const folder = new URL("../../web/editor/", import.meta.url);
  const files = (await readdir(folder)).filter((name) => name.endsWith(".mjs"));
  const source = (await Promise.all(files.map((name) => readFile(new URL(name, folder), "utf8")))).join("\n");
  const shown = SHOWN.flatMap((pattern) => [...source.matchAll(pattern)].map(([, text]) => text)).filter((text) => !/[/_]|^(center|left)$/.test(text));
  const names = [...Object.keys(MOVES), ...EASINGS].map((name) => name.replaceAll("_", " "));
  const zh = await wordsOf("zh");
  const without = [...shown, ...names].filter((text) => !Object.hasOwn(zh, text) && !Object.hasOwn(zh, text.replace(/\d+/g, "#")));
  assert.ok(shown.length > 60, `${shown.length}`);
  assert.deepEqual([...new Set(without)], []);
});

test("a text is told in the language of the page, its numbers kept", async () => {
  const { learn, said } = await import("../../web/editor/words.mjs");
  const whole = globalThis.fetch;
  globalThis.fetch = async (url) => ({ json: async () => JSON.parse(await readFile(url, "utf8")) });
  await learn("ja-JP");
  globalThis.fetch = whole;
  assert.equal(said("Key 2 of 31"), "キー 2/31");
  assert.equal(said("figure 8"), "8 の字");
  assert.equal(said("a name of their own 7"), "a name of their own 7");
});
