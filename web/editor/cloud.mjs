// The picture in the scene, as points where its depth is known and as a plane where it is not: drawn pixel by pixel, so
// that it keeps up with a drag.

import { cross, dot, rotate, rotationOf, subtract, translationOf } from "../camera_math.mjs";

const LARGEST_DOT = 7;

/** Draws pictures {width, height, colours (the browser's bytes), depth (in the path's unit, 0: unknown)}. */
export class CloudPainter {
  #canvas = document.createElement("canvas");
  #image = null;
  #pixels = null;
  #nearest = null;

  /** Draws points into `ctx`, which shows a picture of `size` of the camera `eye`; `origin` is the camera that saw them. */
  drawCloud(ctx, eye, size, picture, { motion, K, clip }) {
    const ratio = ctx.getTransform().a;
    this.#clear(size.map((length) => Math.max(1, Math.round(length * ratio))));
    this.#splat(eye, ratio, picture, intoEye(eye, motion), picture.K ?? pictureLens(K, clip, picture));
    this.#show(ctx, size);
  }

  /** Draws a picture {width, height, colours} that hangs at `distance` before the camera that saw it. */
  drawPicture(ctx, eye, size, picture, { motion, K, clip }, distance) {
    const ratio = ctx.getTransform().a;
    this.#clear(size.map((length) => Math.max(1, Math.round(length * ratio))));
    const [fx, fy, cx, cy] = pictureLens(K, clip, picture);
    const rows = intoEye(eye, motion);
    // A row of the map from the picture's (u, v, 1) to the eye's frame.
    const row = (i) => {
      const [x, y] = [(rows[4 * i] / fx) * distance, (rows[4 * i + 1] / fy) * distance];
      return [x, y, rows[4 * i + 2] * distance + rows[4 * i + 3] - x * cx - y * cy];
    };
    const divisor = eye.flat ? [0, 0, 1] : row(2);
    const pixels = [0, 1].map((axis) => {
      const [focal, middle] = [eye.focal[axis] * ratio, eye.principal[axis] * ratio];
      return row(axis).map((value, i) => focal * value + middle * divisor[i]);
    });
    this.#fill(inverted([...pixels, divisor]), picture);
    this.#show(ctx, size);
  }

  /** Every pixel's colour of the picture's place that `back` (rows of its three coordinates) leads to. */
  #fill(back, { width, height, colours }) {
    const [u, v, w] = back ?? [];
    for (let y = 0, at = 0; back && y < this.#image.height; y += 1) {
      for (let x = 0; x < this.#image.width; x += 1, at += 1) {
        const ahead = w[0] * x + w[1] * y + w[2];
        const column = Math.floor((u[0] * x + u[1] * y + u[2]) / ahead);
        const row = Math.floor((v[0] * x + v[1] * y + v[2]) / ahead);
        if (ahead > 0 && column >= 0 && row >= 0 && column < width && row < height) this.#pixels[at] = colours[row * width + column];
      }
    }
  }

  #show(ctx, size) {
    const { width, height } = this.#image;
    this.#canvas.getContext("2d").putImageData(this.#image, 0, 0);
    ctx.drawImage(this.#canvas, 0, 0, width, height, 0, 0, size[0], size[1]);
  }

  #clear([width, height]) {
    if (this.#image?.width !== width || this.#image.height !== height) {
      [this.#canvas.width, this.#canvas.height] = [width, height];
      this.#image = new ImageData(width, height);
      this.#pixels = new Uint32Array(this.#image.data.buffer);
      this.#nearest = new Float32Array(width * height);
    }
    this.#pixels.fill(0);
    this.#nearest.fill(Infinity);
  }

  #splat(eye, ratio, { width, height, depth, colours }, m, [fx, fy, cx, cy]) {
    const [fu, fv] = [eye.focal[0] * ratio, eye.focal[1] * ratio];
    const [pu, pv] = [eye.principal[0] * ratio, eye.principal[1] * ratio];
    const dot = fu / fx;
    const columns = this.#image.width;
    const rows = this.#image.height;
    for (let i = 0, row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1, i += 1) {
        const z = depth[i];
        if (!(z > 0)) continue;
        const [x, y] = [((column + 0.5 - cx) / fx) * z, ((row + 0.5 - cy) / fy) * z];
        const away = m[8] * x + m[9] * y + m[10] * z + m[11];
        if (away <= eye.near) continue;
        const divisor = eye.flat ? 1 : away;
        const u = pu + (fu * (m[0] * x + m[1] * y + m[2] * z + m[3])) / divisor;
        const v = pv + (fv * (m[4] * x + m[5] * y + m[6] * z + m[7])) / divisor;
        const side = Math.min(Math.ceil((dot * z) / divisor), LARGEST_DOT);
        const [left, top] = [Math.round(u - 0.5 * side), Math.round(v - 0.5 * side)];
        if (left < 0 || top < 0 || left + side > columns || top + side > rows) continue;
        for (let line = top; line < top + side; line += 1) {
          for (let at = line * columns + left, end = at + side; at < end; at += 1) {
            if (away >= this.#nearest[at]) continue;
            this.#nearest[at] = away;
            this.#pixels[at] = colours[i];
          }
        }
      }
    }
  }
}

/** The first camera's frame to the eye's, three rows of four. */
function intoEye(eye, motion) {
  const r = rotationOf(motion);
  const rows = [eye.right, eye.down, eye.forward];
  const turned = rows.map((row) => rotate([r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]], row));
  const moved = rotate([...eye.right, ...eye.down, ...eye.forward], subtract(translationOf(motion), eye.center));
  return turned.flatMap((row, i) => [...row, moved[i]]);
}

/** The inverse of a 3 x 3 matrix, in rows, null where it has none. */
/** @param {number[][]} rows */
function inverted(rows) {
  const [a, b, c] = rows;
  const columns = [cross(b, c), cross(c, a), cross(a, b)];
  const determinant = dot(a, columns[0]);
  if (Math.abs(determinant) < 1e-12) return null;
  return [0, 1, 2].map((i) => columns.map((column) => column[i] / determinant));
}

/** K of the small picture, of the K of one of the clip's size. */
function pictureLens([fx, fy, cx, cy], clip, { width, height }) {
  const [sx, sy] = [width / clip.width, height / clip.height];
  return [fx * sx, fy * sy, cx * sx, cy * sy];
}

/** Where the points lie, for a view that is to show them: a few of them, in the world. */
export function cloudExtent(picture, { motion, K, clip }) {
  const [fx, fy, cx, cy] = picture.K ?? pictureLens(K, clip, picture);
  const known = Array.from(picture.depth).filter((z) => z > 0).sort((a, b) => a - b);
  const far = known[known.length >> 1];
  if (!far) return [];
  const [r, t] = [rotationOf(motion), translationOf(motion)];
  return [[0, 0], [picture.width, 0], [0, picture.height], [picture.width, picture.height]].map(([u, v]) => {
    return rotate(r, [((u - cx) / fx) * far, ((v - cy) / fy) * far, far]).map((value, axis) => value + t[axis]);
  });
}

/** The median depth of the middle ninth of a picture, 0 where nothing is known. */
export function middleDepth({ width, height, depth }) {
  const inside = Array.from(depth).filter((z, i) => {
    const [column, row] = [(i % width) / width, Math.floor(i / width) / height];
    return z > 0 && Math.abs(column - 0.5) < 1 / 6 && Math.abs(row - 0.5) < 1 / 6;
  });
  const median = inside.sort((a, b) => a - b)[inside.length >> 1] ?? 0;
  return Math.round(median * 1e3) / 1e3;
}
