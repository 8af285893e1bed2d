// The colours of what is drawn, on a dark page and on a light one.

const BOTH = { x: "#e5534b", up: "#3fae54", z: "#4a8ff0", subject: "#e262ab", key: "#f0b429", travel: "#3d94f6", turn: "#ee7d2b" };

const DARK = Object.freeze({
  ...BOTH, light: false, text: "#e6e6e6", grid: "rgb(150 160 175 / 22%)", frustum: "rgb(190 200 215 / 55%)", now: "#ffffff",
  border: "rgb(255 255 255 / 45%)", view: "#16181c", lens: "#23272e", halo: "rgb(0 0 0 / 60%)", hollow: "#33363b", speed: 60,
});

const LIGHT = Object.freeze({
  ...BOTH, light: true, text: "#25282d", grid: "rgb(70 85 105 / 24%)", frustum: "rgb(70 80 95 / 55%)", now: "#000000",
  border: "rgb(0 0 0 / 45%)", view: "#f1f3f6", lens: "#dde2e8", halo: "rgb(255 255 255 / 75%)", hollow: "#ffffff", speed: 45,
});

/** The palette that suits the colour of the text around an element: light text stands on a dark page. */
export function paletteOf(element) {
  const [red, green, blue] = getComputedStyle(element).color.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
  return 0.3 * red + 0.59 * green + 0.11 * blue < 128 ? LIGHT : DARK;
}
