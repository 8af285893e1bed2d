// Line icons, drawn with the colour of the text around them.

const SHAPES = {
  static: "M5 5h6v6h-6z M8 2v1.5 M8 12.5v1.5 M2 8h1.5 M12.5 8h1.5",
  pan: "M2.5 10c2-4.5 9-4.5 11 0 M13.8 6.6l-.3 3.4-3.3-.6 M8 13.2v.1",
  tilt: "M10 13.5c-4.5-2-4.5-9 0-11 M6.6 2.2l3.4.3-.6 3.3 M3 8h.1",
  roll: "M12.7 5.5a5.3 5.3 0 1 0 .4 4.3 M13 2.3v3.4h-3.4",
  dolly: "M8 12.5v-9 M4.8 6.7l3.2-3.2 3.2 3.2 M2 14l2.2-5 M14 14l-2.2-5",
  truck: "M2 8h11.5 M10.3 4.8l3.2 3.2-3.2 3.2 M3 12.5h4 M3 3.5h4",
  pedestal: "M8 11v-8.5 M4.8 5.7l3.2-3.2 3.2 3.2 M3 14h10",
  orbit: "M3.3 6.5c-3 4.5 9 7.5 10.2 2.5 M14.5 11.8l-1-2.9-2.9 1 M8 5.5m-1.8 0a1.8 1.8 0 1 0 3.6 0a1.8 1.8 0 1 0-3.6 0",
  arc: "M2 13.5c6 .3 10-3 11.3-9 M14.8 7l-1.5-2.8-2.7 1.5 M5.5 6.5m-1.7 0a1.7 1.7 0 1 0 3.4 0a1.7 1.7 0 1 0-3.4 0",
  crane: "M3 14h5 M5.5 14v-4l6-6.5 M8 3.1l3.6.2.1 3.6",
  boom: "M3 13.5h4 M5 13.5l5.5-5 M12.9 12.5c.9-3.5-.3-7-3.2-9 M9.5 6.5l0-3.2 3.2.3",
  push_in: "M1.5 8h6 M5 5.2l2.8 2.8-2.8 2.8 M12.3 8m-2.2 0a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0",
  pull_back_rise: "M9.5 10l-6.7-6.7 M2.6 6.7v-3.5h3.5 M12 12.3m-1.9 0a1.9 1.9 0 1 0 3.8 0a1.9 1.9 0 1 0-3.8 0",
  spiral: "M13.8 8c0-7-11.6-7.5-11.6.3 0 6.5 9 6.5 9 .2 0-4-5.4-4-5.4-.2 0 1.5 1 2 2.2 1.8",
  figure_8: "M8 8c-3-4.5-6-3.5-6 0s3 4.5 6 0 6-3.5 6 0-3 4.5-6 0",
  flyover: "M1.8 11.5c2.5-7.5 9-8.5 12-3.5 M13.9 4.6v3.5l-3.4.2 M2 14h12",
  dolly_zoom: "M5.5 5.5h5v5h-5z M.8 8h2.9 M15.2 8h-2.9 M2.2 6.3l1.7 1.7-1.7 1.7 M13.8 6.3l-1.7 1.7 1.7 1.7",
  zoom: "M6.8 6.8m-4.3 0a4.3 4.3 0 1 0 8.6 0a4.3 4.3 0 1 0-8.6 0 M10 10l4 4 M6.8 5v3.6 M5 6.8h3.6",
  handheld: "M1.5 8.5l1.8-3.5 2 6 2-8 2.2 9 2-6.5 1.5 4 1.5-2",
  other: "M3 8h10 M8 3v10",
  play: "M4.5 3v10l8-5z",
  pause: "M5 3.5v9 M11 3.5v9",
  undo: "M6 3.5l-3.2 3.2 3.2 3.2 M3 6.7h6.5a3.2 3.2 0 0 1 0 6.4h-2.5",
  redo: "M10 3.5l3.2 3.2-3.2 3.2 M13 6.7h-6.5a3.2 3.2 0 0 0 0 6.4h2.5",
  key_add: "M6.5 4l4 4-4 4-4-4z M12.5 2v4 M10.5 4h4",
  key_remove: "M6.5 4l4 4-4 4-4-4z M10.5 4h4",
  frame: "M2.5 5.5v-3h3 M10.5 2.5h3v3 M13.5 10.5v3h-3 M5.5 13.5h-3v-3 M6.5 8h3 M8 6.5v3",
  lens: "M2 5h7.5v6h-7.5z M9.5 7l4-2.5v7l-4-2.5",
  draw: "M2.5 13.5c5 1 1-6 5-6 3 0 0 4 6-5 M11 2.2l2.6.2.1 2.6",
  cut: "M4 4l9 6 M4 12l9-6 M3.3 4m-1.6 0a1.6 1.6 0 1 0 3.2 0a1.6 1.6 0 1 0-3.2 0 M3.3 12m-1.6 0a1.6 1.6 0 1 0 3.2 0a1.6 1.6 0 1 0-3.2 0",
  lock: "M4 7.5h8v6h-8z M5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2",
  enlarge: "M9.5 2.5h4v4 M13.5 2.5l-4.5 4.5 M6.5 13.5h-4v-4 M2.5 13.5l4.5-4.5",
  code: "M5.5 4l-3.5 4 3.5 4 M10.5 4l3.5 4-3.5 4",
  up: "M8 12.5v-9 M4.5 7l3.5-3.5 3.5 3.5",
  down: "M8 3.5v9 M4.5 9l3.5 3.5 3.5-3.5",
  remove: "M4 4l8 8 M12 4l-8 8",
};

const SVG = "http://www.w3.org/2000/svg";

/** An <svg> of 16 x 16 for a name of this file, or for a move without a drawing of its own the common one. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name] ?? SHAPES.other);
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}
