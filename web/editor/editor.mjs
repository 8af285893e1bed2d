// The live editor of a camera path: puts the view, the time line and the panels together over one state with undo.

import { defaultPath, defaultPlan, evaluatePath, evaluatePlan, nearestFrameCount } from "../camera_path.mjs";
import { element, iconButton } from "./dom.mjs";
import { sceneOf } from "./draw.mjs";
import { keyAt, withKeyAt, withoutKey, withoutMove, withPreset } from "./edits.mjs";
import { icon } from "./icons.mjs";
import { keydown } from "./keyboard.mjs";
import { withClip } from "./node_clip.mjs";
import { panelsOf } from "./panels.mjs";
import { speedsOf } from "./speeds.mjs";
import { Store, writeValue } from "./store.mjs";
import { Strip } from "./strip.mjs";
import { addStyle } from "./style.mjs";
import { Viewport } from "./viewport.mjs";

const PALETTE = Object.freeze({
  text: "#e6e6e6",
  grid: "rgb(150 160 175 / 22%)",
  frustum: "rgb(190 200 215 / 55%)",
  border: "rgb(255 255 255 / 45%)",
  lens: "#23272e",
});
const BAKED = "This path is a list of cameras, without moves or keys: it can be played, not edited.";

/**
 * `host` is the world around: clip() -> {frameCount, fps, width, height, unit}, picture() -> a canvas or null,
 * changed() after every edit, passWheel(event) for a wheel that is not ours.
 */
export class Editor {
  #unsubscribe;
  #request = 0;

  constructor(host, value) {
    addStyle();
    Object.assign(this, { host, frame: 0, key: -1, layer: -1, lens: false, jsonOpen: false, scene: null, fault: "" });
    this.store = new Store(value);
    this.viewport = new Viewport(this);
    this.strip = new Strip(this);
    this.panels = panelsOf(this);
    this.tab = 0;
    this.#build();
    this.#unsubscribe = this.store.subscribe(() => this.#changed());
    this.refresh();
  }

  get path() {
    return this.store.state.path;
  }

  get plan() {
    return this.path?.plan ?? defaultPlan();
  }

  /** The clip: what the node's other widgets say, or for a list of cameras what it says itself. */
  get clip() {
    const clip = this.host.clip();
    if (!this.path?.frames) return clip;
    return { ...clip, frameCount: this.path.frames.length, width: this.path.width, height: this.path.height };
  }

  /** What is drawn besides the scene. */
  get now() {
    return { frame: this.frame, key: this.key, picture: this.host.picture(), palette: PALETTE };
  }

  /** What the widget stores: the path with the clip of the node, which takes its own widgets before the path's words. */
  get value() {
    return withClip(writeValue(this.store.state), this.clip);
  }

  set value(value) {
    // Nodes 2.0 of older frontends hands every edit back: what is here already must not forget the past.
    if (JSON.stringify(value) === JSON.stringify(this.value)) return;
    [this.key, this.layer] = [-1, -1];
    this.store.load(value);
    this.viewport.frameAll();
  }

  edit(plan, gesture) {
    if (this.path?.plan) this.store.edit(plan, gesture);
  }

  choosePreset(move, onTop) {
    const index = onTop ? -1 : this.layer;
    const replaces = !onTop && this.plan.moves.length === 1 ? 0 : index;
    const plan = withPreset(this.plan, move, replaces);
    this.layer = replaces >= 0 ? replaces : plan.moves.length - 1;
    this.edit(plan);
    this.viewport.frameUnlessTurned();
  }

  selectLayer(index) {
    this.layer = this.layer === index ? -1 : index;
    this.#show();
  }

  removeLayer(index) {
    this.layer = -1;
    this.edit(withoutMove(this.plan, index));
  }

  selectKey(index) {
    this.key = index;
    if (this.plan.keys[index]) {
      this.pause();
      this.seek(Math.round(this.plan.keys[index].time * (this.clip.frameCount - 1)));
      this.openTab(2);
    }
    this.#show();
  }

  addKey() {
    if (!this.scene || !this.path.plan) return;
    const [plan, index] = withKeyAt(this.plan, this.frame, this.clip);
    this.key = index;
    this.edit(plan);
    this.selectKey(index);
  }

  /** The selected key, or else the one at the playhead; -1 where there is neither. */
  get keyInHand() {
    if (this.plan.keys[this.key]) return this.key;
    const last = Math.max(this.clip.frameCount - 1, 1);
    return this.path?.plan ? keyAt(this.plan, this.frame / last, 0.5 / last) : -1;
  }

  removeKey() {
    const index = this.keyInHand;
    if (index < 0) return;
    this.key = -1;
    this.edit(withoutKey(this.plan, index));
  }

  undo() {
    this.store.undo();
  }

  redo() {
    this.store.redo();
  }

  /** world_from_cam of a key alone, without moves and look-at lock. */
  baseMotionOfKey(index) {
    const plan = { ...this.plan, keys: [{ ...this.plan.keys[index], time: 0 }], moves: [], look_at: null, loop: false };
    return evaluatePlan(plan, { ...this.clip, frameCount: 1 }).world_from_cam[0];
  }

  seek(frame) {
    this.frame = Math.min(Math.max(frame, 0), this.clip.frameCount - 1);
    this.#drawNow();
  }

  get playing() {
    return this.#request !== 0;
  }

  togglePlay() {
    if (this.playing) this.pause();
    else if (this.scene) this.#play();
  }

  pause() {
    cancelAnimationFrame(this.#request);
    this.#request = 0;
    this.#syncBar();
  }

  #play() {
    const last = this.clip.frameCount - 1;
    const start = performance.now() - ((this.frame >= last ? 0 : this.frame) * 1000) / this.clip.fps;
    const step = (time) => {
      this.#request = requestAnimationFrame(step);
      this.seek(Math.floor((Math.max(time - start, 0) * this.clip.fps) / 1000) % this.clip.frameCount);
    };
    this.#request = requestAnimationFrame(step);
    this.#syncBar();
  }

  openTab(index) {
    this.tab = index;
    this.#show();
  }

  focus() {
    this.viewport.surface.canvas.focus({ preventScroll: true });
  }

  toggleLens() {
    this.lens = !this.lens;
    this.#show();
  }

  /** Bring everything up to date with the state, the node's other widgets and its picture. */
  refresh() {
    const { fault } = this.store.state;
    [this.scene, this.fault] = [null, fault ? `This path can not be shown: ${fault}` : this.store.notice];
    if (this.path) this.#evaluate();
    this.frame = Math.min(this.frame, this.clip.frameCount - 1);
    this.#show();
  }

  #evaluate() {
    const { clip } = this;
    try {
      const cameras = this.path.frames ? evaluatePath(this.path) : evaluatePlan(this.path.plan, clip);
      this.scene = sceneOf(this.path, cameras, speedsOf(cameras.world_from_cam, clip.fps), clip);
    } catch (error) {
      this.fault = `This path can not be shown: ${error.message}`;
    }
  }

  #changed() {
    this.key = Math.min(this.key, this.plan.keys.length - 1);
    this.layer = Math.min(this.layer, this.plan.moves.length - 1);
    this.refresh();
    this.host.changed();
  }

  #build() {
    const { bar, hint, scrub, readout } = this.#buildBar();
    this.tabBar = element("div", { className: "raxel-tabs", role: "tablist", "aria-label": "Panels" });
    this.tabs = this.panels.map((panel, index) => {
      const tab = element("button", { type: "button", role: "tab", onclick: () => this.openTab(index) });
      this.tabBar.append(tab);
      return tab;
    });
    const view = element("div", { className: "raxel-view" }, this.viewport.surface.canvas, hint);
    const timeBar = element("div", { className: "raxel-bar" }, this.buttons.play, scrub, readout);
    const panels = this.panels.map(({ root }) => root);
    this.live = element("div", { className: "raxel-live" }, view, this.strip.root, timeBar, this.tabBar, ...panels);
    this.faultLine = element("div", { className: "raxel-fault", role: "alert" });
    this.#buildJson();
    this.root = element("div", { className: "raxel-editor", "data-capture-wheel": "true" });
    this.root.append(bar, this.faultLine, this.live, this.json);
    this.root.addEventListener("keydown", (event) => keydown(this, event));
  }

  #buildBar() {
    const press = (action) => () => action.call(this);
    this.buttons = {
      play: iconButton("play", "Play (Space)", press(this.togglePlay)),
      undo: iconButton("undo", "Undo (Ctrl+Z)", press(this.undo)),
      redo: iconButton("redo", "Redo (Ctrl+Shift+Z)", press(this.redo)),
      add: iconButton("key_add", "Set a key at the playhead (K)", press(this.addKey)),
      remove: iconButton("key_remove", "Remove the key that is selected or at the playhead (Delete)", press(this.removeKey)),
      frame: iconButton("frame", "Show the whole path (double click)", () => this.viewport.frameAll()),
      lens: iconButton("lens", "Look through the camera", press(this.toggleLens)),
      json: iconButton("code", "Show the path as JSON", () => this.#toggleJson()),
    };
    const { undo, redo, add, remove, frame, lens, json } = this.buttons;
    this.summary = element("span", { className: "raxel-readout raxel-space" });
    const bar = element("div", { className: "raxel-bar", role: "toolbar", "aria-label": "Path" });
    bar.append(undo, redo, add, remove, this.summary, frame, lens, json);
    this.hint = element("div", { className: "raxel-hint" });
    this.scrub = element("input", {
      type: "range", min: 0, step: 1, className: "raxel-space", title: "Frame", "aria-label": "Frame",
      oninput: () => this.seek(this.scrub.valueAsNumber),
    });
    this.readout = element("span", { className: "raxel-readout" });
    return { bar, hint: this.hint, scrub: this.scrub, readout: this.readout };
  }

  #buildJson() {
    this.text = element("textarea", { spellcheck: false, "aria-label": "The path as JSON" });
    const act = (textContent, title, onclick) => element("button", { type: "button", textContent, title, onclick });
    const buttons = [
      act("Apply", "Use this text as the path", () => this.#applyJson(this.text.value)),
      act("New path", "Start afresh; undo brings the old one back", () => this.#applyJson(defaultPath())),
      act("Copy", "Copy the text", () => navigator.clipboard?.writeText(this.text.value)),
    ];
    this.json = element("div", { className: "raxel-json" }, this.text, element("div", { className: "raxel-bar" }, ...buttons));
  }

  #applyJson(value) {
    this.jsonOpen = false;
    this.store.replace(value);
  }

  #toggleJson() {
    this.jsonOpen = !this.jsonOpen;
    this.#show();
  }

  /** Everything on the screen from the state; the scene is as `refresh` left it. */
  #show() {
    const broken = !this.scene && !this.path;
    const jsonShown = broken || this.jsonOpen;
    this.live.hidden = jsonShown;
    this.json.hidden = !jsonShown;
    if (jsonShown && document.activeElement !== this.text) this.text.value = textOf(this.value);
    const baked = Boolean(this.path?.frames);
    this.faultLine.textContent = this.fault || (baked ? BAKED : "");
    this.faultLine.classList.toggle("raxel-note", !this.fault);
    if (!jsonShown) this.#showPanels();
    for (const root of [this.tabBar, ...this.panels.map((panel) => panel.root)]) root.hidden ||= baked;
    this.#drawNow();
  }

  #showPanels() {
    this.tabBar.hidden = false;
    this.panels.forEach((panel, index) => {
      panel.sync();
      panel.root.hidden = index !== this.tab;
      panel.root.setAttribute("aria-label", panel.title(this));
      this.tabs[index].textContent = panel.title(this);
      this.tabs[index].setAttribute("aria-selected", String(index === this.tab));
      this.tabs[index].tabIndex = index === this.tab ? 0 : -1;
    });
  }

  #drawNow() {
    this.viewport.surface.invalidate();
    this.strip.surface.invalidate();
    this.#syncBar();
  }

  #syncBar() {
    const { buttons, clip, scrub } = this;
    const planned = Boolean(this.path?.plan);
    [buttons.undo.disabled, buttons.redo.disabled] = [!this.store.canUndo, !this.store.canRedo];
    [buttons.add.disabled, buttons.remove.disabled] = [!planned, this.keyInHand < 0];
    if (buttons.play.dataset.shows !== String(this.playing)) {
      buttons.play.dataset.shows = String(this.playing);
      buttons.play.replaceChildren(icon(this.playing ? "pause" : "play"));
    }
    buttons.lens.setAttribute("aria-pressed", String(this.lens));
    buttons.json.setAttribute("aria-pressed", String(this.jsonOpen));
    scrub.max = String(clip.frameCount - 1);
    scrub.value = String(this.frame);
    const seconds = `${(this.frame / clip.fps).toFixed(2)} s`;
    this.readout.textContent = `${this.frame + 1} / ${clip.frameCount}   ${seconds}`;
    scrub.setAttribute("aria-valuetext", `frame ${this.frame + 1} of ${clip.frameCount}, ${seconds}`);
    this.hint.textContent = this.lens ? "through the camera" : "";
    const nearest = nearestFrameCount(clip.frameCount);
    const odd = nearest === clip.frameCount ? "" : ` (Wan takes ${nearest})`;
    this.summary.textContent = `${this.path?.name || "unnamed"}: ${clip.frameCount} frames${odd}, ${clip.width} × ${clip.height}`;
  }

  dispose() {
    this.pause();
    this.#unsubscribe();
    this.viewport.dispose();
    this.strip.dispose();
    this.root.remove();
  }
}

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}
