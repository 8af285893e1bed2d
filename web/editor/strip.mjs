// The time line's canvas: scrubbing, dragging keys in time, and cuts.

import { progressAlong } from "../camera_path.mjs";
import { element, put } from "./dom.mjs";
import { withKeyTime } from "./edits.mjs";
import { Surface } from "./surface.mjs";
import { cutAtPixel, drawTimeline, keyAtPixel, speedWords, timeOfX } from "./timeline.mjs";

export class Strip {
  #drag = null;

  constructor(editor) {
    this.editor = editor;
    this.surface = new Surface((ctx, size) => this.#paint(ctx, size), { "aria-hidden": "true" });
    this.travel = element("span", { title: "How fast the camera travels here", className: "raxel-travel" });
    this.turn = element("span", { title: "How fast the camera turns here", className: "raxel-turn" });
    const words = element("div", { className: "raxel-speeds" }, this.travel, this.turn);
    this.root = element("div", { className: "raxel-strip" }, this.surface.canvas, words);
    this.surface.listen((...at) => this.#press(...at), (...at) => this.#drag && this.#follow(...at), () => this.#release());
  }

  /** The keys' shares of the whole clip. */
  get #times() {
    const { scene, firsts, shot, clip } = this.editor;
    const [count, last] = [scene.clip.frameCount, Math.max(clip.frameCount - 1, 1)];
    return scene.keyTimes.map((time) => (firsts[shot] + time * (count - 1)) / last);
  }

  #paint(ctx, size) {
    const { scene, frame, local, shot, firsts, key, palette, clip } = this.editor;
    const [travel, turn] = scene ? speedWords(scene, scene.at(local), clip.unit) : ["", ""];
    put(this.travel, { textContent: travel });
    put(this.turn, { textContent: turn });
    if (scene) drawTimeline(ctx, size, scene, { frame, shot, firsts, key, palette, times: this.#times });
  }

  #press(event, pixel) {
    if (!this.editor.scene) return;
    this.editor.focus();
    const [width] = this.surface.size;
    const key = keyAtPixel(this.#times, pixel, width);
    const cut = key < 0 ? cutAtPixel(this.editor.firsts, pixel, width) : -1;
    if (key >= 0) this.editor.selectKey(key);
    this.#drag = { key, cut, from: event.clientX, moved: false };
    if (key < 0 && cut < 0) this.#follow(event, pixel);
  }

  #follow(event, pixel) {
    this.#drag.moved ||= Math.abs(event.clientX - this.#drag.from) > 3;
    const { key, cut, moved } = this.#drag;
    const { clip, firsts, shot } = this.editor;
    const frame = timeOfX(pixel[0], this.surface.size[0]) * (clip.frameCount - 1);
    if ((key >= 0 || cut >= 0) && !moved) return;
    if (cut >= 0) this.editor.moveCut(cut, Math.round(frame));
    else if (key >= 0) this.#moveKey(key, frame - firsts[shot]);
    else this.editor.seek(Math.round(frame));
  }

  #moveKey(key, frame) {
    const { plan, scene, firsts, shot } = this.editor;
    const time = Math.min(Math.max(frame / Math.max(scene.clip.frameCount - 1, 1), 0), 1);
    this.editor.edit(withKeyTime(plan, key, progressAlong(plan.speed)(time)), "drag in time");
    this.editor.seek(firsts[shot] + this.editor.frameOfKey(key));
  }

  #release() {
    this.#drag = null;
    this.editor.store.endGesture();
  }

  dispose() {
    this.surface.dispose();
  }
}
