// The time line's canvas: scrubbing, and dragging keys in time.

import { element } from "./dom.mjs";
import { withKeyTime } from "./edits.mjs";
import { Surface } from "./surface.mjs";
import { drawTimeline, keyAtPixel, SPEED_COLORS, speedWords, timeOfX } from "./timeline.mjs";

export class Strip {
  #drag = null;

  constructor(editor) {
    this.editor = editor;
    this.surface = new Surface((ctx, size) => this.#paint(ctx, size), { "aria-hidden": "true" });
    this.travel = element("span", { title: "How fast the camera travels here" });
    this.turn = element("span", { title: "How fast the camera turns here" });
    this.travel.style.color = SPEED_COLORS.travel;
    this.turn.style.color = SPEED_COLORS.turn;
    const words = element("div", { className: "raxel-speeds" }, this.travel, this.turn);
    this.root = element("div", { className: "raxel-strip" }, this.surface.canvas, words);
    const { canvas } = this.surface;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#drag && this.#follow(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.#release());
  }

  #paint(ctx, size) {
    const { scene, now, clip } = this.editor;
    [this.travel.textContent, this.turn.textContent] = scene ? speedWords(scene, now.frame, clip.unit) : ["", ""];
    if (scene) drawTimeline(ctx, size, scene, now);
  }

  #press(event) {
    event.preventDefault();
    if (!this.editor.scene) return;
    this.editor.focus();
    this.surface.canvas.setPointerCapture(event.pointerId);
    const key = keyAtPixel(this.editor.plan, this.surface.pixelOf(event), this.surface.size[0]);
    if (key >= 0) this.editor.selectKey(key);
    this.#drag = { key, from: event.clientX, moved: false };
    if (key < 0) this.#follow(event);
  }

  #follow(event) {
    this.#drag.moved ||= Math.abs(event.clientX - this.#drag.from) > 3;
    const time = timeOfX(this.surface.pixelOf(event)[0], this.surface.size[0]);
    const { key, moved } = this.#drag;
    if (key >= 0 && !moved) return;
    if (key >= 0) this.editor.edit(withKeyTime(this.editor.plan, key, time), "drag in time");
    this.editor.seek(Math.round((this.editor.plan.keys[key]?.time ?? time) * (this.editor.clip.frameCount - 1)));
  }

  #release() {
    this.#drag = null;
    this.editor.store.endGesture();
  }

  dispose() {
    this.surface.dispose();
  }
}
