// Line icons, drawn with the colour of the text around them.

const SVG = "http://www.w3.org/2000/svg";
const FILE = new URL("./icons.svg", import.meta.url).href;

/** An <svg> of the symbol of a name in icons.svg. */
export function icon(name) {
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS(SVG, tag));
  use.setAttribute("href", `${FILE}#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}
