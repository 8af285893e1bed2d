// Lenses by their focal length, as told for a film or a sensor of some width. Pure.

/** Widths in millimetres of what focal lengths are told for. */
export const SENSORS = Object.freeze({
  "full frame": 36, "Super 35": 24.89, "APS-C": 23.5, "Four Thirds": 17.3, "1 inch": 13.2, "Super 16": 12.52, "65 mm": 54.12, phone: 9.8,
});

const half = (degrees) => (degrees * Math.PI) / 360;

/** The focal length in mm that sees `fov` degrees across on a sensor `width` mm wide. */
export const focalOfFov = (fov, width) => (0.5 * width) / Math.tan(half(fov));

/** The horizontal angle of view in degrees of a focal length in mm on a sensor `width` mm wide. */
export const fovOfFocal = (focal, width) => (360 / Math.PI) * Math.atan((0.5 * width) / focal);
