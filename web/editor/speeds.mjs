// How fast a path moves and turns. Pure.

import { norm, rotationLog, multiplyRotations, rotationOf, subtract, translationOf, transpose } from "../camera_math.mjs";

/** Between neighbouring cameras: `travel` in unit a second and `turn` in degrees a second, one fewer than cameras. */
export function speedsOf(motions, fps) {
  const [travel, turn] = [[], []];
  for (let frame = 1; frame < motions.length; frame += 1) {
    const [before, after] = [motions[frame - 1], motions[frame]];
    travel.push(norm(subtract(translationOf(after), translationOf(before))) * fps);
    const rotation = multiplyRotations(transpose(rotationOf(before)), rotationOf(after));
    turn.push((norm(rotationLog(rotation)) * 180 * fps) / Math.PI);
  }
  return { travel, turn };
}

/** The colour of a speed as a share of the fastest: blue is slow, green and yellow are quicker, red is fastest. */
export function speedColor(share, lightness = 60) {
  return `hsl(${Math.round(215 * (1 - Math.min(Math.max(share, 0), 1)))} 85% ${lightness}%)`;
}

/** At most `most` frame numbers spread evenly over `count`, the first and the last among them. */
export function spread(count, most) {
  const steps = Math.max(1, Math.min(most, count) - 1);
  return Array.from({ length: Math.min(most, count) }, (_, number) => Math.round((number * (count - 1)) / steps));
}
