// The 3D view: draws the scene and turns pointers into turns of the view and drags of keys.

import { alongAxis, DEFAULT_VIEW, framed, inScreenPlane, nearestPixel, orbited, panned, viewCamera, zoomed } from "./view.mjs";
import { AXES, drawLens, drawWorld, handles, sceneExtent } from "./draw.mjs";
import { withKeyMoved } from "./edits.mjs";
import { Surface } from "./surface.mjs";

const REACH = 11;
const INSET_SHARE = 0.32;
const LABEL =
  "Camera path in 3D. Drag turns the view, right drag or Shift moves it, the wheel zooms it. Space plays, the arrow " +
  "keys step through frames and keys, K sets a key, Delete removes it.";

export class Viewport {
  #drag = null;
  #unframed = true;
  #turned = false;

  constructor(editor) {
    this.editor = editor;
    this.view = { ...DEFAULT_VIEW };
    this.surface = new Surface((ctx, size) => this.#paint(ctx, size), { tabIndex: 0, role: "application", "aria-label": LABEL });
    const { canvas } = this.surface;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#release(event));
    canvas.addEventListener("dblclick", () => this.frameAll());
    canvas.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      event.stopPropagation();
    });
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
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
    return viewCamera(this.view, this.surface.size);
  }

  #paint(ctx, [width, height]) {
    const { scene, lens, now } = this.editor;
    if (!scene) return;
    if (this.#unframed) this.view = framed(this.view, sceneExtent(scene, now.picture !== null), [width, height]);
    this.#unframed = false;
    if (lens) {
      drawLens(ctx, [6, 6, width - 12, height - 12], scene, now);
      return;
    }
    drawWorld(ctx, viewCamera(this.view, [width, height]), scene, now);
    const [w, h] = [width * INSET_SHARE, Math.min(height * 0.4, width * INSET_SHARE)];
    const factor = Math.min(w / scene.clip.width, h / scene.clip.height);
    const inset = [scene.clip.width * factor, scene.clip.height * factor];
    drawLens(ctx, [width - inset[0] - 6, 6, ...inset], scene, now);
  }

  #press(event) {
    this.surface.canvas.focus({ preventScroll: true });
    this.surface.canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    const pixel = this.surface.pixelOf(event);
    const still = this.editor.lens || !this.editor.scene;
    this.#drag = { pixel, ...(still ? { kind: "none" } : this.#grab(event, pixel)) };
    this.surface.canvas.style.cursor = "grabbing";
  }

  /** What a press takes hold of: an arrow of the selected key, a key, or the view. */
  #grab(event, pixel) {
    if (event.button !== 0 || event.shiftKey) return { kind: "pan" };
    const { scene, key } = this.editor;
    const { keys, axes } = handles(this.#eye, scene, key);
    const axis = nearestPixel(axes, pixel, REACH);
    if (axis >= 0) return { kind: "key", axis, key, plan: this.editor.plan, from: pixel };
    const found = nearestPixel(keys, pixel, REACH);
    if (found < 0) return { kind: "orbit" };
    this.editor.selectKey(found);
    return { kind: "key", axis: -1, key: found, plan: this.editor.plan, from: pixel, at: scene.centers[scene.keyFrames[found]] };
  }

  #move(event) {
    const pixel = this.surface.pixelOf(event);
    if (!this.#drag) return this.#hover(pixel);
    const [dx, dy] = [pixel[0] - this.#drag.pixel[0], pixel[1] - this.#drag.pixel[1]];
    this.#drag.pixel = pixel;
    if (this.#drag.kind === "orbit") this.#look(orbited(this.view, dx, dy));
    if (this.#drag.kind === "pan") this.#look(panned(this.view, dx, dy, this.surface.size));
    if (this.#drag.kind === "key") this.#dragKey(pixel);
    return undefined;
  }

  /** The key goes where the whole drag so far takes it, so that no rounding adds up. */
  #dragKey(pixel) {
    const { plan, key, axis, from } = this.#drag;
    this.#drag.at ??= this.editor.scene.centers[this.editor.scene.keyFrames[key]];
    const [dx, dy] = [pixel[0] - from[0], pixel[1] - from[1]];
    if (!this.#drag.moved && Math.hypot(dx, dy) < 3) return;
    this.#drag.moved = true;
    const offset = axis < 0
      ? inScreenPlane(this.#eye, this.#drag.at, dx, dy)
      : alongAxis(this.#eye, this.#drag.at, AXES[axis].direction, dx, dy);
    this.editor.edit(withKeyMoved(plan, key, offset), "drag of a key");
  }

  #hover(pixel) {
    const { scene, key, lens } = this.editor;
    if (!scene || lens) return;
    const { keys, axes } = handles(this.#eye, scene, key);
    const over = nearestPixel([...axes, ...keys], pixel, REACH) >= 0;
    this.surface.canvas.style.cursor = over ? "move" : "grab";
  }

  #release(event) {
    if (!this.#drag) return;
    if (this.surface.canvas.hasPointerCapture(event.pointerId)) this.surface.canvas.releasePointerCapture(event.pointerId);
    this.#drag = null;
    this.surface.canvas.style.cursor = "grab";
    this.editor.store.endGesture();
  }

  /** As ComfyUI's own widgets: the wheel belongs to the view once it has been clicked, and to the graph before. */
  #wheel(event) {
    if (document.activeElement !== this.surface.canvas) {
      this.editor.host.passWheel(event);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.#look(zoomed(this.view, event.deltaY));
  }

  dispose() {
    this.surface.dispose();
  }
}
