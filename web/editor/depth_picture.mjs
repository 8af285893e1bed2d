// The linked picture as colours, and the depth that the node writes as a picture, read back: red and green hold 16 bits
// of nearness, 0 is unknown.

const CODES = 65534;

/** The depth of a pixel's code: evenly spaced in 1 / depth between those of `near` and `far`. */
export function depthOfCode(code, near, far) {
  return code > 0 ? 1 / (1 / far + ((code - 1) / CODES) * (1 / near - 1 / far)) : 0;
}

/**
 * The points of a picture in the clip's aspect: `image` is what they look like (null: grey), `notes` = {near, far, K,
 * near_depth} what the node said of the depth; K, where it did, is in pixels of the whole depth picture.
 */
export function decodedCloud(depthImage, image, aspect, { near, far, K, near_depth: nearDepth }) {
  const [w, h] = [depthImage.naturalWidth, depthImage.naturalHeight];
  const width = Math.max(1, Math.round(Math.min(w, h * aspect)));
  const height = Math.max(1, Math.round(Math.min(h, w / aspect)));
  const [left, top] = [Math.floor((w - width) / 2), Math.floor((h - height) / 2)];
  const codes = pixelsOf(depthImage, [left, top, width, height], [width, height]);
  const depth = new Float32Array(width * height);
  for (let i = 0; i < depth.length; i += 1) depth[i] = depthOfCode(256 * codes[4 * i] + codes[4 * i + 1], near, far);
  const lens = K ? [K[0], K[1], K[2] - left, K[3] - top] : null;
  return { width, height, depth, nearDepth, K: lens, colours: image ? coloursOf(image, aspect, width, height) : greys(depth, near, far) };
}

/** The middle of a picture in the clip's aspect, as the video models take it: {width, height, colours}. */
export function croppedPicture(image, aspect, pixels) {
  const longest = Math.max(aspect, 1);
  const [width, height] = [Math.round((pixels * aspect) / longest), Math.round(pixels / longest)];
  return { width, height, colours: coloursOf(image, aspect, width, height) };
}

function coloursOf(image, aspect, width, height) {
  const [w, h] = [image.naturalWidth, image.naturalHeight];
  const [across, down] = [Math.min(w, h * aspect), Math.min(h, w / aspect)];
  const bytes = pixelsOf(image, [(w - across) / 2, (h - down) / 2, across, down], [width, height]);
  return new Uint32Array(bytes.buffer);
}

function greys(depth, near, far) {
  return Uint32Array.from(depth, (z) => {
    const share = z > 0 ? (1 / z - 1 / far) / (1 / near - 1 / far || 1) : 0;
    const grey = Math.round(60 + 180 * Math.min(Math.max(share, 0), 1));
    return (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
  });
}

function pixelsOf(image, [x, y, w, h], [width, height]) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(image, x, y, w, h, 0, 0, width, height);
  return ctx.getImageData(0, 0, width, height).data;
}
