// What can be taken hold of in a view: keys, their arrows, aim, roll and handles, and the point that is looked at.

import * as math from "../camera_math.mjs";
import { withHandle, handlesOf, withKey, withKeyChanged, withKeyMoved, round } from "./edits.mjs";
import { alongAxis, inScreenPlane, nearestPixel, pixelAt, project } from "./view.mjs";

const REACH = 11;
const ARM = 52;
const AIM = 84;
export const AXES = [
  { name: "x", direction: [1, 0, 0] },
  { name: "up", direction: [0, -1, 0] },
  { name: "z", direction: [0, 0, 1] },
];

/** The grips of a scene in a view, those that lie on top first: {kind, at (world), pixel, ...}. */
export function gripsOf(eye, scene, key) {
  const keys = scene.keyCenters.map((at, index) => ({ kind: "key", index, at }));
  const grips = [...gripsOfKey(eye, scene, key), ...keys, targetOf(scene)];
  const placed = grips.map((grip) => ({ ...grip, pixel: project(eye, grip.at) })).filter(({ pixel }) => pixel);
  const own = placed.find(({ kind, index }) => kind === "key" && index === key)?.pixel;
  // An arm seen end on hides the key that it belongs to.
  const hides = ({ kind, pixel }) => own && kind !== "key" && kind !== "target" && Math.hypot(pixel[0] - own[0], pixel[1] - own[1]) < REACH;
  return placed.filter((grip) => !hides(grip));
}

function gripsOfKey(eye, scene, index) {
  const motion = scene.keyMotions[index];
  if (!motion) return [];
  const center = scene.keyCenters[index];
  const pixel = pixelAt(eye, center);
  const axes = AXES.map(({ direction }, axis) => ({ kind: "axis", axis, index, at: math.add(center, math.scale(direction, ARM * pixel)) }));
  const handles = handlesOf(scene.plan, index).flatMap((offset, side) => {
    const seen = offset && math.norm(offset) > 3 * pixel;
    return seen ? [{ kind: "handle", side, index, offset, at: math.add(center, offset) }] : [];
  });
  return [...handles, ...turnGrips(scene, index, motion, pixel), ...axes];
}

/** The ball ahead that the camera faces, and the one above it that rolls it; the lock of a path turns its cameras itself. */
function turnGrips(scene, index, motion, pixel) {
  if (scene.plan.look_at) return [];
  const [up, forward] = [1, 2].map((column) => [motion[column], motion[column + 4], motion[column + 8]]);
  const center = scene.keyCenters[index];
  const facing = scene.plan.keys[index].look_at;
  const ahead = facing ? math.norm(math.subtract(facing, scene.plan.keys[index].position)) : AIM * pixel;
  const aim = math.add(center, math.scale(forward, ahead));
  const roll = math.add(center, math.add(math.scale(forward, 0.6 * AIM * pixel), math.scale(up, -0.5 * AIM * pixel)));
  return [{ kind: "aim", index, at: aim, motion }, { kind: "roll", index, at: roll, motion }];
}

/** The point that all cameras face, or the subject ahead of the first one. */
function targetOf(scene) {
  return { kind: "target", at: scene.plan.look_at ?? scene.subject };
}

/** The grip under a pixel, or undefined. */
export function gripAt(grips, pixel) {
  return grips[nearestOf(grips, pixel)];
}

function nearestOf(grips, pixel) {
  const order = ["handle", "aim", "roll", "axis", "key", "target"];
  for (const kind of order) {
    const found = nearestPixel(grips.map((grip) => (grip.kind === kind ? grip.pixel : null)), pixel, REACH);
    if (found >= 0) return found;
  }
  return -1;
}

/**
 * The plan after the drag of a grip by (dx, dy) pixels from where it was taken hold of; `plan` and `scene` are those of
 * that moment, so that no rounding adds up. `alone` (Alt) keeps a handle's opposite where it is.
 */
export function dragged(grip, { plan, scene, eye }, way, alone) {
  const [dx, dy] = way;
  const offset = () => inScreenPlane(eye, grip.at, dx, dy);
  switch (grip.kind) {
    case "key": return withKeyMoved(plan, grip.index, offset());
    case "axis": return withKeyMoved(plan, grip.index, alongAxis(eye, scene.keyCenters[grip.index], AXES[grip.axis].direction, dx, dy));
    case "handle": return withHandle(plan, grip.index, grip.side, math.add(grip.offset, offset()), !alone);
    case "aim": return aimed(plan, grip, scene.keyCenters[grip.index], math.add(grip.at, offset()));
    case "roll": return rolled(plan, grip, eye, scene.keyCenters[grip.index], [dx, dy]);
    default: return withTarget(plan, scene, grip.at, offset());
  }
}

function aimed(plan, { index, motion }, center, point) {
  const way = math.subtract(point, center);
  if (math.norm(way) < 1e-9) return plan;
  const [, , roll] = math.panTiltRollFromRotation(math.rotationOf(motion));
  const rotation = math.multiplyRotations(math.lookRotation(way), math.rotationZ(roll));
  const turned = withKeyChanged(plan, index, math.multiplyMotions(math.inverseMotion(motion), math.fromRotationTranslation(rotation, center)));
  const bare = plan.keys[index].look_at && !plan.moves.some(({ move }) => move !== "handheld");
  return bare ? withKey(turned, index, { look_at: point.map(round) }) : turned;
}

function rolled(plan, { index, motion, pixel }, eye, center, [dx, dy]) {
  const middle = project(eye, center);
  if (!middle) return plan;
  const angle = ([x, y]) => Math.atan2(y - middle[1], x - middle[0]);
  const turn = angle([pixel[0] + dx, pixel[1] + dy]) - angle(pixel);
  const away = math.dot([motion[2], motion[6], motion[10]], eye.forward) >= 0 ? 1 : -1;
  return withKeyChanged(plan, index, math.fromRotationTranslation(math.rotationZ(away * turn), [0, 0, 0]));
}

/** The lock moves where it is dragged; the subject moves along the first camera's line of sight. */
function withTarget(plan, scene, at, offset) {
  if (plan.look_at) return { ...plan, look_at: math.add(at, offset).map(round) };
  const m = scene.cameras.world_from_cam[0];
  const depth = plan.depth + math.dot(offset, [m[2], m[6], m[10]]);
  return { ...plan, depth: round(Math.max(depth, 0.02 * plan.depth)) };
}
