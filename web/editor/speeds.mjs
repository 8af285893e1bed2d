// How fast a path moves and turns. Pure.

// Few colours make few strokes.
const HUES = 16;
const ROTATION = [0, 1, 2, 4, 5, 6, 8, 9, 10];

/** Between neighbouring cameras: `travel` in unit a second and `turn` in degrees a second, one fewer than cameras. */
export function speedsOf(motions, fps) {
  const [travel, turn] = [[], []];
  for (let frame = 1; frame < motions.length; frame += 1) {
    const [a, b] = [motions[frame - 1], motions[frame]];
    travel.push(Math.hypot(b[3] - a[3], b[7] - a[7], b[11] - a[11]) * fps);
    // The Frobenius distance of two rotations is the square root of 8 times the sine of half the angle between them.
    let square = 0;
    for (const i of ROTATION) square += (b[i] - a[i]) ** 2;
    turn.push((2 * Math.asin(Math.min(Math.sqrt(square / 8), 1)) * 180 * fps) / Math.PI);
  }
  return { travel, turn };
}

/** The colour of a speed as a share of the fastest: blue is slow, green and yellow are quicker, red is fastest. */
export function speedColor(share, lightness = 60) {
  const step = Math.round(HUES * Math.min(Math.max(share, 0), 1)) / HUES;
  return `hsl(${Math.round(215 * (1 - step))} 85% ${lightness}%)`;
}

/** At most `most` frame numbers spread evenly over `count`, the first and the last among them. */
export function spread(count, most) {
  const steps = Math.max(1, Math.min(most, count) - 1);
  return Array.from({ length: Math.min(most, count) }, (_, number) => Math.round((number * (count - 1)) / steps));
}
