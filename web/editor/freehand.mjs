// A drawn stroke as keys: few Bezier curves through many points. Pure.
// P. J. Schneider, "An algorithm for automatically fitting digitized curves", Graphics Gems, 1990.

import { add, dot, norm, scale, subtract } from "../camera_math.mjs";
import { round } from "./edits.mjs";

const ERROR_SHARE = 0.012;
const CLOSE_SHARE = 0.06;
const PIECES = 16;
const DEGREES = 180 / Math.PI;

/**
 * The plan along a stroke of world points: keys at even speed, facing `aim` ("subject": always the point `subject`,
 * "path": where they go, "keep": as `turns`, in degrees). Its moves but handheld go; a stroke that ends where it began
 * is a loop.
 */
export function withStroke(plan, stroke, { aim, subject, turns }) {
  const points = smoothed(apart(stroke));
  if (points.length < 2) return plan;
  const size = norm([0, 1, 2].map((axis) => extentOf(points, axis)));
  const loop = norm(subtract(points[0], points.at(-1))) < CLOSE_SHARE * size && lengthOf(points) > 2 * size;
  const line = loop ? [...points.slice(0, -1), points[0]] : points;
  const curves = fit(line, direction(line[0], line[1]), direction(line.at(-1), line.at(-2)), ERROR_SHARE * size);
  const keys = keysOf(curves, loop).map((key) => (aim === "subject" ? key : { ...key, rotation_degrees: facing(key, aim, turns) }));
  const lock = aim === "subject" ? subject.map(round) : null;
  return { ...plan, loop, keys, look_at: lock, moves: plan.moves.filter(({ move }) => move === "handheld") };
}

function keysOf(curves, loop) {
  const lengths = curves.map(lengthOfCurve);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const ends = [...curves.map(([start]) => start), curves.at(-1)[3]];
  let done = 0;
  const keys = ends.map((position, i) => {
    const time = round(done / total);
    done += lengths[i] ?? 0;
    const key = { time, position: position.map(round) };
    if (i > 0) key.handle_in = subtract(curves[i - 1][2], position).map(round);
    if (i < curves.length) key.handle_out = subtract(curves[i][1], position).map(round);
    return key;
  });
  if (!loop) return keys;
  return [{ ...keys[0], handle_in: keys.at(-1).handle_in }, ...keys.slice(1, -1)];
}

function facing(key, aim, turns) {
  if (aim !== "path") return turns.map(round);
  const [x, y, z] = key.handle_out ?? scale(key.handle_in, -1);
  return [Math.atan2(x, z) * DEGREES, Math.atan2(-y, Math.hypot(x, z)) * DEGREES, 0].map(round);
}

/** The stroke without points that stand on the one before. */
function apart(stroke) {
  const size = norm([0, 1, 2].map((axis) => extentOf(stroke, axis)));
  const kept = [];
  for (const point of stroke) if (!kept.length || norm(subtract(point, kept.at(-1))) > 2e-3 * size) kept.push(point);
  return kept;
}

function smoothed(points) {
  return points.map((point, i) => {
    if (i === 0 || i === points.length - 1) return point;
    return scale(add(add(points[i - 1], scale(point, 2)), points[i + 1]), 0.25);
  });
}

function extentOf(points, axis) {
  const places = points.map((point) => point[axis]);
  return Math.max(...places) - Math.min(...places);
}

function lengthOf(points) {
  return points.slice(1).reduce((sum, point, i) => sum + norm(subtract(point, points[i])), 0);
}

const lengthOfCurve = (curve) => lengthOf(Array.from({ length: PIECES + 1 }, (_, i) => bezier(curve, i / PIECES)));

function direction(from, to) {
  const way = subtract(to, from);
  return scale(way, 1 / (norm(way) || 1));
}

/** The point of a curve of any degree: de Casteljau. */
export function bezier(points, share) {
  let level = points;
  while (level.length > 1) level = level.slice(1).map((next, i) => add(scale(level[i], 1 - share), scale(next, share)));
  return level[0];
}

/** Curves through the first and last of `points`, leaving along `first` and arriving along `last` (unit vectors). */
export function fit(points, first, last, error) {
  const [start, end] = [points[0], points.at(-1)];
  if (points.length === 2) {
    const third = norm(subtract(end, start)) / 3;
    return [[start, add(start, scale(first, third)), add(end, scale(last, third)), end]];
  }
  const shares = chordShares(points);
  const curve = leastSquares(points, shares, first, last);
  const [worst, at] = farthest(points, curve, shares);
  return worst <= error ? [curve] : split(points, at, first, last, error);
}

function split(points, at, first, last, error) {
  const across = direction(points[at + 1], points[at - 1]);
  const left = fit(points.slice(0, at + 1), first, across, error);
  return [...left, ...fit(points.slice(at), scale(across, -1), last, error)];
}

function chordShares(points) {
  const lengths = points.map((_, i) => lengthOf(points.slice(Math.max(i - 1, 0), i + 1)));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  let done = 0;
  return lengths.map((length) => (done += length) / total);
}

/** The lengths of both handles that bring the curve nearest to the points at their shares. */
function leastSquares(points, shares, first, last) {
  const [start, end] = [points[0], points.at(-1)];
  const C = [0, 0, 0];
  const X = [0, 0];
  points.forEach((point, i) => {
    const [t, r] = [shares[i], 1 - shares[i]];
    const [a, b] = [scale(first, 3 * t * r * r), scale(last, 3 * t * t * r)];
    const rest = subtract(point, add(scale(start, r * r * (r + 3 * t)), scale(end, t * t * (t + 3 * r))));
    C[0] += dot(a, a);
    C[1] += dot(a, b);
    C[2] += dot(b, b);
    X[0] += dot(a, rest);
    X[1] += dot(b, rest);
  });
  const determinant = C[0] * C[2] - C[1] * C[1];
  const third = norm(subtract(end, start)) / 3;
  let [out, into] = [(X[0] * C[2] - X[1] * C[1]) / determinant, (X[1] * C[0] - X[0] * C[1]) / determinant];
  if (!(out > 1e-3 * third && into > 1e-3 * third)) [out, into] = [third, third];
  return [start, add(start, scale(first, out)), add(end, scale(last, into)), end];
}

function farthest(points, curve, shares) {
  let [worst, at] = [0, points.length >> 1];
  points.forEach((point, i) => {
    const distance = norm(subtract(bezier(curve, shares[i]), point));
    if (distance > worst && i > 0 && i < points.length - 1) [worst, at] = [distance, i];
  });
  return [worst, at];
}
