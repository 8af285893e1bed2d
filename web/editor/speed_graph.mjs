// The graph of a plan's speed over the clip: points that are pulled, on a canvas.

import { element, numberField } from "./dom.mjs";
import { round } from "./edits.mjs";
import { Surface } from "./surface.mjs";
import { timeOfX, xOfTime } from "./timeline.mjs";
import { nearestPixel } from "./view.mjs";

const REACH = 9;
const NEAR = 1e-3;
const [TOP, BOTTOM] = [8, 6];
const SHAPES = {
  even: [],
  "soft ends": [[0, 0], [0.3, 1], [0.7, 1], [1, 0]],
  "speed up": [[0, 0.2], [1, 2]],
  "slow down": [[0, 2], [1, 0.2]],
  "ramp in the middle": [[0, 0.4], [0.35, 0.4], [0.5, 3], [0.65, 0.4], [1, 0.4]],
};

/** The speed of a graph at a time, as it is drawn. */
export function speedAt(graph, time) {
  if (!graph.length) return 1;
  const after = graph.findIndex(([t]) => t > time);
  if (after === 0) return graph[0][1];
  if (after < 0) return graph.at(-1)[1];
  const [[t0, s0], [t1, s1]] = [graph[after - 1], graph[after]];
  return s0 + ((s1 - s0) * (time - t0)) / (t1 - t0);
}

/** The graph with a new point at a time: [graph, its index]; a graph of no points gets ends too. */
export function withPointAt(graph, time, speed) {
  const whole = graph.length ? graph : [[0, 1], [1, 1]];
  const at = Math.min(Math.max(time, NEAR), 1 - NEAR);
  const index = whole.findIndex(([t]) => t > at);
  const place = index < 0 ? whole.length : index;
  return [whole.toSpliced(place, 0, [round(at), round(Math.max(speed, 0))]), place];
}

/** The graph with point `index` pulled to a time, between its neighbours, and a speed. */
export function withPointMoved(graph, index, time, speed) {
  const low = index > 0 ? graph[index - 1][0] + NEAR : 0;
  const high = index + 1 < graph.length ? graph[index + 1][0] - NEAR : 1;
  return graph.with(index, [round(Math.min(Math.max(time, low), high)), round(Math.min(Math.max(speed, 0), 1000))]);
}

export class SpeedGraph {
  #drag = null;
  #point = -1;

  constructor(editor) {
    this.editor = editor;
    const label = "speed graph";
    this.surface = new Surface((ctx, size) => this.#paint(ctx, size), { tabIndex: 0, role: "application", "aria-label": label, title: label });
    const { canvas } = this.surface;
    this.surface.listen((_, pixel) => this.#press(pixel), (_, pixel) => this.#move(pixel), () => this.#release());
    canvas.addEventListener("dblclick", (event) => this.#remove(this.#pointAt(this.surface.pixelOf(event))));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    this.root = element("div", { className: "raxel-graph" }, canvas);
    this.speed = numberField({
      label: "Speed of the point, 1 being as fast as any other 1", step: 0.1, min: 0, done: () => editor.store.endGesture(),
      read: () => this.#graph[this.#point]?.[1],
      write: (value) => this.#graph[this.#point] && this.#edit(withPointMoved(this.#graph, this.#point, this.#graph[this.#point][0], value)),
    });
    this.shapes = Object.entries(SHAPES).map(([name, graph]) => element("button", { type: "button", textContent: name, onclick: () => this.#shape(graph) }));
  }

  get #graph() {
    return this.editor.plan.speed;
  }

  #edit(speed) {
    this.editor.edit({ ...this.editor.plan, speed }, "pull of the speed");
  }

  #shape(graph) {
    this.#point = -1;
    this.editor.store.endGesture();
    this.editor.edit({ ...this.editor.plan, speed: graph });
  }

  get #highest() {
    return this.#drag?.highest ?? Math.max(2, ...this.#graph.map(([, speed]) => 1.2 * speed));
  }

  #yOf(speed, height) {
    return height - BOTTOM - (speed / this.#highest) * (height - TOP - BOTTOM);
  }

  #speedOf(y, height) {
    return ((height - BOTTOM - y) / (height - TOP - BOTTOM)) * this.#highest;
  }

  #pointAt(pixel) {
    const [width, height] = this.surface.size;
    return nearestPixel(this.#graph.map(([time, speed]) => [xOfTime(time, width), this.#yOf(speed, height)]), pixel, REACH);
  }

  #press(pixel) {
    if (!this.editor.editable) return undefined;
    const { canvas, size } = this.surface;
    canvas.focus({ preventScroll: true });
    this.#point = this.#pointAt(pixel);
    this.#drag = { highest: this.#highest };
    if (this.#point >= 0) return this.sync();
    const time = timeOfX(pixel[0], size[0]);
    const [graph, index] = withPointAt(this.#graph, time, this.#speedOf(pixel[1], size[1]));
    this.#point = index;
    return this.#edit(graph);
  }

  #move([x, y]) {
    if (!this.#drag) return;
    const [width, height] = this.surface.size;
    if (this.#graph[this.#point]) this.#edit(withPointMoved(this.#graph, this.#point, timeOfX(x, width), this.#speedOf(y, height)));
  }

  #release() {
    this.#drag = null;
    this.editor.store.endGesture();
    this.surface.invalidate();
  }

  #remove(index) {
    if (index < 0) return;
    this.#point = -1;
    this.editor.edit({ ...this.editor.plan, speed: this.#graph.length > 1 ? this.#graph.toSpliced(index, 1) : [] });
  }

  #key(event) {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    event.stopPropagation();
    if (this.#graph[this.#point]) this.#remove(this.#point);
  }

  sync() {
    this.speed.sync();
    this.speed.input.disabled = !this.#graph[this.#point];
    this.surface.invalidate();
  }

  #paint(ctx, [width, height]) {
    const { palette, scene, local } = this.editor;
    const graph = this.#graph;
    const y = (speed) => this.#yOf(speed, height);
    ctx.strokeStyle = palette.grid;
    ctx.strokeRect(xOfTime(0, width), TOP, xOfTime(1, width) - xOfTime(0, width), height - TOP - BOTTOM);
    ctx.beginPath();
    ctx.moveTo(xOfTime(0, width), y(speedAt(graph, 0)));
    for (const [time, speed] of graph) ctx.lineTo(xOfTime(time, width), y(speed));
    ctx.lineTo(xOfTime(1, width), y(speedAt(graph, 1)));
    ctx.strokeStyle = palette.travel;
    ctx.lineWidth = 2;
    ctx.stroke();
    ctx.fillStyle = palette.text;
    const last = Math.max((scene?.clip.frameCount ?? 1) - 1, 1);
    ctx.fillRect(xOfTime(local / last, width) - 0.5, TOP, 1, height - TOP - BOTTOM);
    ctx.lineWidth = 1.5;
    graph.forEach(([time, speed], index) => {
      ctx.beginPath();
      ctx.arc(xOfTime(time, width), y(speed), index === this.#point ? 6 : 4.5, 0, 2 * Math.PI);
      ctx.fillStyle = index === this.#point ? palette.key : palette.hollow;
      ctx.strokeStyle = palette.key;
      ctx.fill();
      ctx.stroke();
    });
  }

  dispose() {
    this.surface.dispose();
  }
}
