/**
 * Rotations and rigid motions of cameras: pure functions on plain arrays, in float64.
 *
 * The convention is raxel_core's: OpenCV axes (x right, y down, z forward), `b_from_a` names, radians. A vector is
 * [x, y, z]; a rotation holds 9 numbers and a rigid motion 16, row by row; a quaternion is [w, x, y, z].
 */

/** a + b */
export function add(a, b) {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

/** a - b */
export function subtract(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function scale(a, factor) {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}

export function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** a x b */
export function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** The length of a vector. */
export function norm(a) {
  return Math.hypot(a[0], a[1], a[2]);
}

/** a @ b, of rotations. */
export function multiplyRotations(a, b) {
  const product = new Array(9);
  for (let row = 0; row < 9; row += 3) {
    for (let column = 0; column < 3; column += 1) {
      product[row + column] = a[row] * b[column] + a[row + 1] * b[column + 3] + a[row + 2] * b[column + 6];
    }
  }
  return product;
}

/** The inverse of a rotation. */
export function transpose(r) {
  return [r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]];
}

/** r @ v */
export function rotate(r, v) {
  return [
    r[0] * v[0] + r[1] * v[1] + r[2] * v[2], r[3] * v[0] + r[4] * v[1] + r[5] * v[2], r[6] * v[0] + r[7] * v[1] + r[8] * v[2],
  ];
}

/** A camera turned so, by an angle in radians, looks up. */
export function rotationX(angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [1, 0, 0, 0, c, -s, 0, s, c];
}

/** A camera turned so looks to the right. */
export function rotationY(angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [c, 0, s, 0, 1, 0, -s, 0, c];
}

/** A camera turned so rolls clockwise, seen from behind. */
export function rotationZ(angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [c, -s, 0, s, c, 0, 0, 0, 1];
}

/** Ry(pan) Rx(tilt) Rz(roll), of angles in radians. */
export function rotationFromPanTiltRoll([pan, tilt, roll]) {
  return multiplyRotations(multiplyRotations(rotationY(pan), rotationX(tilt)), rotationZ(roll));
}

/**
 * [pan, tilt, roll] in radians of a rotation, tilt in [-pi/2, pi/2]; at a tilt of a quarter turn pan takes all of the
 * turn.
 */
export function panTiltRollFromRotation(r) {
  const level = Math.hypot(r[2], r[8]);
  const tilt = Math.atan2(-r[5], level);
  const pan = level > 1e-9 ? Math.atan2(r[2], r[8]) : Math.atan2(-r[6], r[0]);
  const rolled = multiplyRotations(transpose(multiplyRotations(rotationY(pan), rotationX(tilt))), r);
  return [pan, tilt, Math.atan2(rolled[3], rolled[0])];
}

/**
 * The rotation whose z axis is `forward` and whose x axis is level (world up is -y); straight up or down, where no
 * level axis is marked out, x is the world's. `forward` has any length but zero.
 */
export function lookRotation(forward) {
  const z = scale(forward, 1 / norm(forward));
  const level = Math.hypot(z[0], z[2]);
  const x = level > 1e-9 ? [z[2] / level, 0, -z[0] / level] : [1, 0, 0];
  const y = cross(z, x);
  return [x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]];
}

/** The rotation of a rotation vector in radians (Rodrigues). */
export function rotationExp(omega) {
  const half = 0.5 * norm(omega);
  const factor = half < 1e-8 ? 0.5 : Math.sin(half) / (2 * half);
  return rotationFromQuaternion([Math.cos(half), omega[0] * factor, omega[1] * factor, omega[2] * factor]);
}

/**
 * The rotation vector, of length at most pi; a half turn goes the way in which its largest component is positive; in radians.
 */
export function rotationLog(r) {
  const [w, x, y, z] = quaternionFromRotation(r);
  const length = Math.sqrt(x * x + y * y + z * z);
  const factor = length < 1e-8 ? 2 / w : (2 * Math.atan2(length, w)) / length;
  const omega = [x * factor, y * factor, z * factor];
  if (length * factor <= Math.PI - 1e-9) return omega;
  const largest = omega.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
  return largest < 0 ? scale(omega, -1) : omega;
}

/** The rotation vector from rotation `a` to `b`. */
export function rotationBetween(a, b) {
  return rotationLog(multiplyRotations(transpose(a), b));
}

/** A share of the way from `a` to `b`, the short way around. */
export function slerp(a, b, share) {
  return multiplyRotations(a, rotationExp(scale(rotationBetween(a, b), share)));
}

/** The unit quaternion [w, x, y, z] with w >= 0 of a rotation (Shepperd 1978). */
export function quaternionFromRotation(r) {
  const [x, y, z] = [r[7] - r[5], r[2] - r[6], r[3] - r[1]];
  const [xy, xz, yz] = [r[1] + r[3], r[2] + r[6], r[5] + r[7]];
  const squares = [1 + r[0] + r[4] + r[8], 1 + r[0] - r[4] - r[8], 1 - r[0] + r[4] - r[8], 1 - r[0] - r[4] + r[8]];
  let best = 0;
  for (let i = 1; i < 4; i += 1) if (squares[i] > squares[best]) best = i;
  const square = squares[best];
  const row = best === 0 ? [square, x, y, z] : best === 1 ? [x, square, xy, xz] : best === 2 ? [y, xy, square, yz] : [z, xz, yz, square];
  const length = Math.sqrt(row[0] * row[0] + row[1] * row[1] + row[2] * row[2] + row[3] * row[3]) * (row[0] < 0 ? -1 : 1);
  for (let i = 0; i < 4; i += 1) row[i] /= length;
  return row;
}

/** The rotation of a quaternion [w, x, y, z] of length 1. */
export function rotationFromQuaternion([w, x, y, z]) {
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

/** The rigid motion x -> r x + t, as a Float64Array. */
export function fromRotationTranslation(r, t) {
  const m = new Float64Array(16);
  for (let row = 0; row < 3; row += 1) {
    for (let column = 0; column < 3; column += 1) m[4 * row + column] = r[3 * row + column];
    m[4 * row + 3] = t[row];
  }
  m[15] = 1;
  return m;
}

/** The motion x -> x + t. */
export function translation(t) {
  return fromRotationTranslation([1, 0, 0, 0, 1, 0, 0, 0, 1], t);
}

/** The rotation of a motion. */
export function rotationOf(m) {
  return [m[0], m[1], m[2], m[4], m[5], m[6], m[8], m[9], m[10]];
}

/** The translation of a motion: the camera's centre when it is world_from_cam. */
export function translationOf(m) {
  return [m[3], m[7], m[11]];
}

/** a @ b, of motions. */
export function multiplyMotions(a, b) {
  const m = new Float64Array(16);
  for (let row = 0; row < 12; row += 4) {
    for (let column = 0; column < 4; column += 1) {
      m[row + column] = a[row] * b[column] + a[row + 1] * b[column + 4] + a[row + 2] * b[column + 8];
    }
    m[row + 3] += a[row + 3];
  }
  m[15] = 1;
  return m;
}

export function inverseMotion(m) {
  const inverse = transpose(rotationOf(m));
  return fromRotationTranslation(inverse, scale(rotate(inverse, translationOf(m)), -1));
}

export function transformPoint(m, point) {
  return add(rotate(rotationOf(m), point), translationOf(m));
}
