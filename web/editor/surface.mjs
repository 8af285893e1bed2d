// A canvas that is as sharp as the screen it is on, and that is drawn when asked for and not otherwise.

import { element } from "./dom.mjs";

export class Surface {
  #draw;
  #observer;
  #request = 0;

  /** `draw(ctx, size)` draws in CSS pixels; it is called after `invalidate` and when the canvas changes its size. */
  constructor(draw, properties) {
    this.#draw = draw;
    this.canvas = element("canvas", properties);
    this.ctx = this.canvas.getContext("2d");
    // Asking the canvas itself would lay out the page anew with every edit of a drag.
    this.size = [0, 0];
    this.#observer = new ResizeObserver(([{ contentRect: { width, height } }]) => {
      this.size = [width, height];
      this.invalidate();
    });
    this.#observer.observe(this.canvas);
  }

  invalidate() {
    this.#request ||= requestAnimationFrame(() => this.#render());
  }

  dispose() {
    cancelAnimationFrame(this.#request);
    this.#observer.disconnect();
  }

  /** Calls back with (event, pixel) of a pointer that is pressed on the canvas, moves (captured while it is down), is let go. */
  listen(press, move, release) {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      press(event, this.pixelOf(event));
    });
    canvas.addEventListener("pointermove", (event) => move(event, this.pixelOf(event)));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, release);
  }

  /** A pointer's place in CSS pixels of the canvas, however much the graph is zoomed. */
  pixelOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = this.size;
    return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
  }

  #render() {
    this.#request = 0;
    const [width, height] = this.size;
    if (!width || !height) return;
    const zoom = this.canvas.getBoundingClientRect().width / width;
    const ratio = Math.min(Math.max(devicePixelRatio * zoom, 1), 4);
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== pixels[0]) this.canvas.width = pixels[0];
    if (this.canvas.height !== pixels[1]) this.canvas.height = pixels[1];
    this.ctx.setTransform(pixels[0] / width, 0, 0, pixels[1] / height, 0, 0);
    this.ctx.clearRect(0, 0, width, height);
    this.#draw(this.ctx, [width, height]);
  }
}
