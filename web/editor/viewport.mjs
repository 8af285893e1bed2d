// A view of the scene: free, through the camera, from above or from the side. Turns pointers into edits.

import * as math from "../camera_math.mjs";
import { CloudPainter } from "./cloud.mjs";
import { element } from "./dom.mjs";
import { drawLens, drawWorld, lensCamera, sceneExtent } from "./draw.mjs";
import { withCameraChanged } from "./edits.mjs";
import { dragged, gripAt, gripsOf } from "./grips.mjs";
import { Surface } from "./surface.mjs";
import { cameraOf, DEFAULT_VIEW, framed, inScreenPlane, nearestPixel, onPlane, orbited, panned, project, TURN_PER_PIXEL, zoomed } from "./view.mjs";
import { said } from "./words.mjs";

const INSET_SHARE = 0.32;
const MARGIN = 6;
const STILL = 3;
const WHEEL_STEP = 0.0012;
const WHEEL_MS = 300;
const NAMES = { free: "3D", camera: "camera", top: "top", side: "side" };

export class Viewport {
  editor; kind; view;
  #drag = null;
  #unframed = true;
  #turned = false;
  #paint = new CloudPainter();
  #wheeled = 0;

  constructor(editor, kind) {
    Object.assign(this, { editor, kind, view: { ...DEFAULT_VIEW } });
    const [name, help] = [NAMES[kind], `view ${kind}`];
    this.surface = new Surface((ctx, size) => this.#draw(ctx, size), { tabIndex: 0, role: "application", "aria-label": `${said("Camera path")}: ${said(name)}. ${said(help)} ${said("view keys")}` });
    const title = element("button", { type: "button", className: "raxel-kind", textContent: name, title: help, onclick: () => editor.showOnly(kind) });
    this.root = element("div", { className: "raxel-view", "data-kind": kind }, this.surface.canvas, title);
    this.#listen();
  }

  #listen() {
    const { canvas } = this.surface;
    const listen = (name, act, options) => canvas.addEventListener(name, act, options);
    this.surface.listen((...at) => this.#press(...at), (...at) => this.#move(...at), () => this.#release());
    listen("dblclick", (event) => this.#double(event));
    listen("contextmenu", (event) => {
      event.preventDefault();
      event.stopPropagation();
    });
    listen("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** Move the view so that the whole path is in it, the next time that it is drawn. */
  frameAll() {
    [this.#unframed, this.#turned] = [true, false];
    this.surface.invalidate();
  }

  /** The same, unless someone has chosen a view of their own since the last time: then drawn as it is. */
  frameUnlessTurned() {
    if (this.#turned) this.surface.invalidate();
    else this.frameAll();
  }

  #look(view) {
    [this.view, this.#turned] = [view, true];
    this.surface.invalidate();
  }

  get #eye() {
    return this.kind === "camera" ? lensCamera(this.editor.scene, this.editor.now.frame, this.#window) : cameraOf(this.kind, this.view, this.surface.size);
  }

  get #window() {
    const [width, height] = this.surface.size;
    return [MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN];
  }

  /** The window of the small picture of what the camera sees, while that has no view of its own. */
  #inset([width, height], { clip }) {
    if (this.kind !== "free" || this.editor.enlarged || height < 120) return null;
    const factor = Math.min((width * INSET_SHARE) / clip.width, (height * 0.4) / clip.height);
    const inset = [clip.width * factor, clip.height * factor];
    return [width - inset[0] - MARGIN, MARGIN, ...inset];
  }

  #draw(ctx, size) {
    const { scene } = this.editor;
    if (!scene) return;
    const now = { ...this.editor.now, paint: this.#paint };
    if (this.kind === "camera") {
      drawLens(ctx, this.#window, scene, now, size);
      return;
    }
    const inset = this.#inset(size, scene);
    if (this.#unframed) this.view = framed(this.view, sceneExtent(scene, now), size, { kind: this.kind, inset });
    this.#unframed = false;
    drawWorld(ctx, this.#eye, scene, now, size);
    if (inset) drawLens(ctx, inset, scene, now, size);
    if (this.#drag?.stroke) drawStroke(ctx, this.#drag.stroke, now.palette);
  }

  #press(event, pixel) {
    this.surface.canvas.focus({ preventScroll: true });
    if (!this.editor.scene) return;
    this.#drag = { pixel, from: pixel, ...this.#grab(event, pixel) };
    this.surface.canvas.style.cursor = "grabbing";
  }

  /** What a press takes hold of. */
  #grab(event, pixel) {
    const { scene, editable, tool } = this.editor;
    const second = event.button !== 0 || event.shiftKey;
    if (this.kind === "camera") return editable ? { act: second ? "slide" : "turn", start: this.#start() } : { act: "none" };
    if (second) return { act: "pan" };
    if (tool === "draw" && editable) return { act: "draw", stroke: [pixel] };
    const grip = editable && gripAt(gripsOf(this.#eye, scene, this.editor.key), pixel);
    if (!grip) return { act: this.kind === "free" ? "orbit" : "pan" };
    if (grip.kind === "key" && grip.index !== this.editor.key) this.editor.selectKey(grip.index);
    return { act: "grip", grip, start: this.#start() };
  }

  #start() {
    const { plan, scene, local } = this.editor;
    return { plan, scene, eye: this.#eye, frame: local };
  }

  #move(event, pixel) {
    if (!this.#drag) return this.#hover(pixel);
    const { act, from } = this.#drag;
    const [dx, dy] = [pixel[0] - this.#drag.pixel[0], pixel[1] - this.#drag.pixel[1]];
    const whole = [pixel[0] - from[0], pixel[1] - from[1]];
    this.#drag.pixel = pixel;
    this.#drag.moved ||= Math.hypot(...whole) >= STILL;
    if (act === "orbit") this.#look(orbited(this.view, dx, dy));
    if (act === "pan") this.#look(panned(this.view, dx, dy, this.surface.size, this.kind));
    if (act === "draw") this.#follow(pixel);
    if (!this.#drag.moved) return undefined;
    const { grip, start } = this.#drag;
    if (act === "grip") this.editor.edit(dragged(grip, start, whole, event.altKey), `drag of ${grip.kind}`);
    if (act === "turn" || act === "slide") this.#moveCamera(start, cameraDrag(act, start, whole, this.editor.lock));
    return undefined;
  }

  #moveCamera({ plan, frame }, change) {
    const [made, key] = withCameraChanged(plan, frame, this.editor.scene.clip, change);
    this.editor.key = key;
    this.editor.edit(made, "the camera");
  }

  #follow(pixel) {
    this.#drag.stroke.push(pixel);
    this.surface.invalidate();
  }

  #hover(pixel) {
    const { scene, tool, editable } = this.editor;
    if (!scene || this.kind === "camera") return;
    const over = editable && gripAt(gripsOf(this.#eye, scene, this.editor.key), pixel);
    this.surface.canvas.style.cursor = tool === "draw" ? "crosshair" : over ? "move" : "grab";
  }

  #release() {
    if (!this.#drag) return;
    const { stroke } = this.#drag;
    this.#drag = null;
    this.surface.canvas.style.cursor = "grab";
    if (stroke) this.editor.draw(this.#inWorld(stroke), this);
    this.editor.store.endGesture();
    this.surface.invalidate();
  }

  /** The places of a stroke: at the height of the path's start, or from the side, and level with the view, straight before it. */
  #inWorld(stroke) {
    const eye = this.#eye;
    const start = this.editor.scene.centers[0];
    const level = Math.abs(eye.forward[1]) > 0.2;
    const normal = level ? [0, 1, 0] : [eye.forward[0], 0, eye.forward[2]];
    return stroke.map((pixel) => onPlane(eye, pixel, start, normal)).filter(Boolean);
  }

  /** On the path a double click sets a key, beside it the whole path is shown. */
  #double(event) {
    const { scene, editable } = this.editor;
    if (!scene || this.kind === "camera") return;
    const eye = this.#eye;
    const found = nearestPixel(scene.centers.map((center) => project(eye, center)), this.surface.pixelOf(event), 8);
    if (found < 0 || !editable) this.frameAll();
    else this.editor.addKey(found);
  }

  /** As ComfyUI's own widgets: the wheel belongs to the view once it has been clicked, and to the graph before. */
  #wheel(event) {
    if (document.activeElement !== this.surface.canvas && !this.editor.enlarged) {
      this.editor.host.passWheel(event);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (this.kind !== "camera") {
      this.#look(zoomed(this.view, event.deltaY));
      return;
    }
    const { scene, editable } = this.editor;
    if (!scene || !editable) return;
    const way = -event.deltaY * WHEEL_STEP * scene.depth;
    this.#moveCamera(this.#start(), math.translation([0, 0, way]));
    clearTimeout(this.#wheeled);
    this.#wheeled = setTimeout(() => this.editor.store.endGesture(), WHEEL_MS);
  }

  dispose() {
    clearTimeout(this.#wheeled);
    this.surface.dispose();
  }
}

/** What a drag in the camera's own view does to it, in its own frame: what is seen follows the pointer. */
function cameraDrag(act, { eye, scene, frame }, way, lock) {
  const [dx, dy] = way;
  const motion = scene.cameras.world_from_cam[scene.at(frame)];
  const subject = scene.plan.look_at ?? scene.subject;
  if (act === "slide") {
    return math.translation(math.rotate(math.transpose(math.rotationOf(motion)), inScreenPlane(eye, subject, -dx, -dy)));
  }
  const orbits = lock || scene.plan.look_at !== null;
  const [pan, tilt] = orbits
    ? [dx * TURN_PER_PIXEL, -dy * TURN_PER_PIXEL]
    : [-Math.atan(dx / eye.focal[0]), Math.atan(dy / eye.focal[1])];
  const level = math.multiplyRotations(math.multiplyRotations(math.transpose(math.rotationOf(motion)), math.rotationY(pan)), math.rotationOf(motion));
  const turn = math.fromRotationTranslation(math.multiplyRotations(level, math.rotationX(tilt)), [0, 0, 0]);
  if (!orbits) return turn;
  // Locked to the view, the camera turns about what it looks at, as a view does.
  const there = math.translation(math.transformPoint(math.inverseMotion(motion), subject));
  return math.multiplyMotions(math.multiplyMotions(there, turn), math.inverseMotion(there));
}

function drawStroke(ctx, stroke, palette) {
  ctx.beginPath();
  for (const pixel of stroke) ctx.lineTo(...pixel);
  ctx.strokeStyle = palette.key;
  ctx.lineWidth = 2;
  ctx.stroke();
}
