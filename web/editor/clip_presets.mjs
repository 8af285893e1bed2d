// Sizes that video models are run at, to choose from.

const preset = (name, width, height, frameCount, fps) => Object.freeze({ name: `${name}: ${width} × ${height}, ${frameCount} at ${fps}`, clip: { width, height, frameCount, fps } });

export const CLIP_PRESETS = Object.freeze([
  preset("Wan 480p", 832, 480, 81, 16),
  preset("Wan 480p upright", 480, 832, 81, 16),
  preset("Wan 720p", 1280, 720, 81, 16),
  preset("Wan 2.2 5B", 1280, 704, 121, 24),
  preset("LTX", 768, 512, 97, 24),
  preset("MiniMax H3", 1280, 720, 124, 24),
  preset("Raxel tiny", 64, 64, 9, 8),
]);
