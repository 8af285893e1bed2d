// The live editor of a camera path: puts the views, the time line and the panels together over one state with undo.

import { defaultPath, defaultPlan, evaluatePath, evaluatePlan, firstFrames, nearestFrameCount } from "../camera_path.mjs";
import * as math from "../camera_math.mjs";
import { element, iconButton, put } from "./dom.mjs";
import { middleDepth } from "./cloud.mjs";
import { sceneOf } from "./draw.mjs";
import {
  shotsOf, withCut, withKeyAt, withoutKey, withoutMove, withoutShot, withPreset, withShotPlan, withShotStart,
} from "./edits.mjs";
import { withStroke } from "./freehand.mjs";
import { icon } from "./icons.mjs";
import { keydown } from "./keyboard.mjs";
import { withMovesAsKeys } from "./keys_of_moves.mjs";
import { withClip } from "./node_clip.mjs";
import { paletteOf } from "./palette.mjs";
import { panelsOf } from "./panels.mjs";
import { Store, writeValue } from "./store.mjs";
import { Strip } from "./strip.mjs";
import { addStyle } from "./style.mjs";
import { Viewport } from "./viewport.mjs";
import { said } from "./words.mjs";

const KINDS = ["free", "camera", "top", "side"];
const KEY_TAB = 2;
const DRAFT_FRAMES = 241;
const UNSHOWN = () => `${said("This path cannot be shown")}: `;
const AIMS = { subject: "always face the subject", path: "look where it goes", keep: "keep the direction" };

/** `host` is the world around: what attach.mjs's NodeView answers and is told. */
export class Editor {
  host;
  #unsubscribe;
  #request = 0;
  #firsts = [0, 1];
  // The page's colours are known once it stands in it.
  #observer = new ResizeObserver(() => this.#adapt());

  constructor(host, value) {
    addStyle();
    Object.assign(this, { host, frame: 0, key: -1, layer: -1, tab: 0, scene: null, fault: "" });
    Object.assign(this, { lens: false, only: null, enlarged: false, lock: false, tool: "move", aim: "subject", sensor: "full frame", jsonOpen: false });
    this.store = new Store(value);
    this.viewports = KINDS.map((kind) => new Viewport(this, kind));
    this.strip = new Strip(this);
    this.panels = panelsOf(this);
    this.#build();
    this.palette = paletteOf(this.root);
    this.#unsubscribe = this.store.subscribe(() => this.#changed());
    this.refresh();
    this.#observer.observe(this.root);
  }

  get path() {
    return this.store.state.path;
  }

  /** Whether there is a plan to edit, which a list of cameras is not. */
  get editable() {
    return Boolean(this.path && !this.path.frames);
  }

  /** The number of the shot in which the playhead stands. */
  get shot() {
    return Math.max(this.#firsts.slice(0, -1).findLastIndex((first) => first <= this.frame), 0);
  }

  /** The first frame of each shot, and behind them the number of all frames. */
  get firsts() {
    return this.#firsts;
  }

  /** The plan of the shot in which the playhead stands. */
  get plan() {
    return this.editable ? shotsOf(this.path)[this.shot].plan : defaultPlan();
  }

  /** The playhead's frame in its shot. */
  get local() {
    return this.frame - this.#firsts[this.shot];
  }

  /** The clip: what the node's other widgets say, or a list of cameras itself. */
  get clip() {
    const clip = this.host.clip();
    if (!this.path?.frames) return clip;
    return { ...clip, frameCount: this.path.frames.length, width: this.path.width, height: this.path.height };
  }

  /** What is drawn besides the scene. */
  get now() {
    return { frame: this.scene?.at(this.local), key: this.key, picture: this.host.picture(), cloud: this.host.cloud(), palette: this.palette };
  }

  /** What the widget stores: the path with the clip of the node. */
  get value() {
    return withClip(writeValue(this.store.state), this.clip);
  }

  set value(value) {
    // Nodes 2.0 of older frontends hands every edit back: what is here already must not forget the past.
    if (JSON.stringify(value) === JSON.stringify(this.value)) return;
    [this.key, this.layer] = [-1, -1];
    this.store.load(value);
    this.frameAll();
  }

  edit(plan, gesture) {
    if (this.editable) this.store.edit(withShotPlan(this.path, this.shot, plan), gesture);
  }

  // ---- moves and keys

  choosePreset(move, onTop) {
    const index = onTop ? -1 : this.layer;
    const replaces = !onTop && this.plan.moves.length === 1 ? 0 : index;
    const plan = withPreset(this.plan, move, replaces);
    this.layer = replaces >= 0 ? replaces : plan.moves.length - 1;
    this.edit(plan);
    this.frameAll();
  }

  selectLayer(index) {
    this.layer = this.layer === index ? -1 : index;
    this.#show();
  }

  removeLayer(index) {
    this.layer = -1;
    this.edit(withoutMove(this.plan, index));
    this.frameAll();
  }

  turnMovesIntoKeys() {
    this.edit(withMovesAsKeys(this.plan));
    this.selectKey(0);
  }

  selectKey(index) {
    this.key = index;
    if (this.plan.keys[index]) {
      this.pause();
      this.seek(this.#firsts[this.shot] + this.frameOfKey(index));
      this.tab = KEY_TAB;
    }
    this.#show();
  }

  /** The frame of the shot that is nearest to a key. */
  frameOfKey(index) {
    return this.scene ? Math.round(this.scene.keyTimes[index] * (this.scene.clip.frameCount - 1)) : 0;
  }

  /** Set a key at a frame of the shot and select it. */
  addKey(frame = this.local) {
    if (!this.scene || !this.editable) return;
    const [plan, index] = withKeyAt(this.plan, frame, this.scene.clip);
    this.key = index;
    this.edit(plan);
    this.selectKey(index);
  }

  /** The selected key, or the one at the playhead, or -1. */
  get keyInHand() {
    if (this.plan.keys[this.key]) return this.key;
    if (!this.scene || !this.editable) return -1;
    const last = Math.max(this.scene.clip.frameCount - 1, 1);
    return this.scene.keyTimes.findIndex((time) => Math.abs(time - this.local / last) <= 0.5 / last);
  }

  removeKey() {
    const index = this.keyInHand;
    if (index < 0) return;
    this.key = -1;
    this.edit(withoutKey(this.plan, index));
  }

  /** A stroke of `points` in the world, drawn in `viewport`, becomes the keys of the path. */
  draw(points, viewport) {
    if (points.length < 2 || !this.scene) return;
    const motion = this.scene.cameras.world_from_cam[0];
    const turns = math.panTiltRollFromRotation(math.rotationOf(motion)).map((angle) => (angle * 180) / Math.PI);
    const subject = this.plan.look_at ?? this.scene.subject;
    [this.key, this.layer] = [-1, -1];
    this.edit(withStroke(this.plan, points, { aim: this.aim, subject, turns }));
    for (const other of this.viewports) if (other !== viewport) other.frameAll();
  }

  undo() {
    this.store.undo();
  }

  redo() {
    this.store.redo();
  }

  // ---- shots

  cut() {
    if (!this.editable || !this.scene) return;
    [this.key, this.layer] = [-1, -1];
    this.store.edit(withCut(this.path, this.frame, this.clip));
  }

  removeShot() {
    [this.key, this.layer] = [-1, -1];
    this.store.edit(withoutShot(this.path, this.shot));
  }

  moveCut(shot, frame) {
    this.store.edit(withShotStart(this.path, shot, frame, this.clip), "drag of a cut");
  }

  // ---- time

  seek(frame) {
    const before = this.shot;
    this.frame = Math.min(Math.max(frame, 0), this.clip.frameCount - 1);
    if (this.shot !== before) this.#enterShot();
    this.#drawNow();
  }

  #enterShot() {
    [this.key, this.layer] = [-1, -1];
    this.#evaluate();
    if (!this.playing) this.#show();
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

  // ---- what is shown

  openTab(index) {
    this.tab = index;
    this.#show();
  }

  focus() {
    const shown = this.viewports.find(({ root }) => !root.hidden);
    shown.surface.canvas.focus({ preventScroll: true });
  }

  frameAll() {
    for (const viewport of this.viewports) viewport.frameAll();
  }

  frameUnlessTurned() {
    for (const viewport of this.viewports) viewport.frameUnlessTurned();
  }

  toggleLens() {
    this.lens = !this.lens;
    this.#show();
  }

  toggleLock() {
    this.lock = !this.lock;
    this.#show();
  }

  /** What millimetres are told for. */
  chooseSensor(name) {
    this.sensor = name;
    this.#show();
  }

  /** The subject stands where the middle of the picture is deep. */
  takeDepth() {
    const depth = middleDepth(this.host.cloud());
    if (depth > 0) this.edit({ ...this.plan, depth });
  }

  toggleDraw() {
    this.tool = this.tool === "draw" ? "move" : "draw";
    if (this.tool === "draw") this.lens = false;
    this.#show();
  }

  showOnly(kind) {
    if (this.enlarged) this.only = this.only === kind ? null : kind;
    else this.lens = kind !== "camera";
    this.#show();
  }

  toggleEnlarged() {
    this.enlarged = !this.enlarged;
    this.only = null;
    this.host.enlarge(this.enlarged);
    this.#show();
    this.frameAll();
    this.focus();
  }

  /** The node's picture or its depth has come. */
  pictureCame() {
    this.frameUnlessTurned();
    this.#show();
  }

  #adapt() {
    const palette = paletteOf(this.root);
    if (palette === this.palette) return;
    this.palette = palette;
    this.#show();
  }

  /** Bring everything up to date with the state, the node's other widgets and its picture. */
  refresh() {
    const { fault } = this.store.state;
    this.palette = paletteOf(this.root);
    this.fault = fault ? UNSHOWN() + fault : this.store.notice;
    this.#evaluate();
    this.key = Math.min(this.key, this.plan.keys.length - 1);
    this.layer = Math.min(this.layer, this.plan.moves.length - 1);
    this.#show();
  }

  #evaluate() {
    this.scene = null;
    [this.#firsts, this.frame] = [[0, this.clip.frameCount], Math.min(this.frame, this.clip.frameCount - 1)];
    if (!this.path) return;
    try {
      this.scene = this.path.frames ? this.#sceneOfFrames() : this.#sceneOfShot();
    } catch (error) {
      this.fault = UNSHOWN() + error.message;
    }
  }

  #sceneOfFrames() {
    return sceneOf(defaultPlan(), evaluatePath(this.path), this.clip);
  }

  #sceneOfShot() {
    const { clip } = this;
    const shots = shotsOf(this.path);
    const firsts = firstFrames(shots, clip.frameCount);
    this.#firsts = firsts;
    const clips = shots.map((_, i) => ({ ...clip, frameCount: firsts[i + 1] - firsts[i] }));
    const cameras = shots.map(({ plan }, i) => evaluatePlan(plan, this.store.inGesture ? draftOf(clips[i]) : clips[i]));
    const origin = { motion: cameras[0].world_from_cam[0], K: cameras[0].K[0], clip };
    const others = cameras.filter((_, i) => i !== this.shot).map((one) => one.world_from_cam.map(math.translationOf));
    return sceneOf(shots[this.shot].plan, cameras[this.shot], clips[this.shot], { origin, others });
  }

  #changed() {
    this.refresh();
    this.host.changed();
  }

  #build() {
    const { bar, scrub, readout } = this.#buildBar();
    this.tabBar = element("div", { className: "raxel-tabs", role: "tablist", "aria-label": "Panels" });
    this.tabs = this.panels.map((_, index) => {
      const tab = element("button", { type: "button", role: "tab", onclick: () => this.openTab(index) });
      this.tabBar.append(tab);
      return tab;
    });
    this.drawBar = this.#buildDrawBar();
    this.views = element("div", { className: "raxel-views" }, ...this.viewports.map(({ root }) => root), this.drawBar);
    const timeBar = element("div", { className: "raxel-bar raxel-time" }, this.buttons.play, scrub, readout);
    const panels = this.panels.map(({ root }) => root);
    this.side = element("div", { className: "raxel-side" }, this.tabBar, ...panels);
    this.live = element("div", { className: "raxel-live" }, this.views, this.strip.root, timeBar, this.side);
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
      add: iconButton("key_add", "Set a key at the playhead (K)", () => this.addKey()),
      remove: iconButton("key_remove", "Remove the key that is selected or at the playhead (Delete)", press(this.removeKey)),
      draw: iconButton("draw", "Draw the path by hand (D)", press(this.toggleDraw)),
      cut: iconButton("cut", "Cut here: a new shot begins at the playhead (C)", press(this.cut)),
      frame: iconButton("frame", "Show the whole path (F, or double click beside it)", press(this.frameAll)),
      lens: iconButton("lens", "Look through the camera (V)", press(this.toggleLens)),
      lock: iconButton("lock", "Lock the camera to its view: drags turn it about the subject (L)", press(this.toggleLock)),
      json: iconButton("code", "Show the path as JSON", () => this.#toggleJson()),
      enlarge: iconButton("enlarge", "Enlarge to the whole window (E), and back", press(this.toggleEnlarged)),
    };
    const { play: _below, frame, lens, lock, json, enlarge, ...edits } = this.buttons;
    this.summary = element("span", { className: "raxel-readout raxel-space" });
    const bar = element("div", { className: "raxel-bar", role: "toolbar", "aria-label": "Path" });
    bar.append(...Object.values(edits), this.summary, frame, lens, lock, json, enlarge);
    this.scrub = element("input", {
      type: "range", min: 0, step: 1, className: "raxel-space", title: "Frame", "aria-label": "Frame",
      oninput: () => this.seek(this.scrub.valueAsNumber),
    });
    this.readout = element("span", { className: "raxel-readout" });
    return { bar, scrub: this.scrub, readout: this.readout };
  }

  #buildDrawBar() {
    const input = element("select", { "aria-label": "Where the camera of a drawn path looks", onchange: () => (this.aim = input.value) });
    for (const [value, textContent] of Object.entries(AIMS)) input.append(element("option", { value, textContent }));
    return element("div", { className: "raxel-draw" }, "Draw in the 3D, top or side view;", input);
  }

  #buildJson() {
    this.text = element("textarea", { spellcheck: false, "aria-label": "The path as JSON" });
    const act = (textContent, title, onclick) => element("button", { type: "button", textContent, title, onclick });
    const buttons = [
      act("Apply", "Use this text as the path", () => this.#applyJson(this.text.value)),
      act("New path", "Start afresh; undo brings the old one back", () => this.#applyJson(defaultPath())),
    ];
    this.json = element("div", { className: "raxel-json" }, this.text, element("div", { className: "raxel-bar" }, ...buttons));
  }

  #applyJson(value) {
    this.jsonOpen = false;
    this.store.replace(value);
    this.frameAll();
  }

  #toggleJson() {
    this.jsonOpen = !this.jsonOpen;
    this.#show();
  }

  /** Everything on the screen from the state; the scene is as `refresh` left it. */
  #show() {
    const jsonShown = (!this.scene && !this.path) || this.jsonOpen;
    const baked = Boolean(this.path?.frames);
    put(this.live, { hidden: jsonShown });
    put(this.json, { hidden: !jsonShown });
    if (jsonShown && document.activeElement !== this.text) this.text.value = textOf(this.value);
    put(this.faultLine, { textContent: this.fault || (baked ? said("baked") : "") });
    const classes = ["raxel-editor", this.enlarged && "raxel-large", this.palette.light && "raxel-light"];
    put(this.root, { className: classes.filter(Boolean).join(" ") });
    put(this.faultLine, { className: this.fault ? "raxel-fault" : "raxel-fault raxel-note" });
    put(this.drawBar, { hidden: this.tool !== "draw" });
    put(this.side, { hidden: baked });
    this.#showViews();
    if (!jsonShown) this.#showPanels();
    this.#drawNow();
  }

  #showViews() {
    const single = this.enlarged ? this.only : this.lens ? "camera" : "free";
    for (const { kind, root } of this.viewports) put(root, { hidden: single !== null && kind !== single });
    put(this.views, { className: single === null ? "raxel-views" : "raxel-views raxel-single" });
  }

  #showPanels() {
    this.panels.forEach((panel, index) => {
      const [title, chosen] = [said(panel.title(this)), index === this.tab];
      put(panel.root, { hidden: !chosen, "aria-label": title });
      put(this.tabs[index], { textContent: title, "aria-selected": chosen, tabIndex: chosen ? 0 : -1 });
      if (chosen) panel.sync();
    });
  }

  #drawNow() {
    for (const { surface } of this.viewports) surface.invalidate();
    this.strip.surface.invalidate();
    this.panels[this.tab].drawNow?.();
    this.#syncBar();
  }

  #syncBar() {
    const { buttons, clip, scrub, editable, playing } = this;
    put(buttons.undo, { disabled: !this.store.canUndo });
    put(buttons.redo, { disabled: !this.store.canRedo });
    put(buttons.add, { disabled: !editable });
    put(buttons.remove, { disabled: this.keyInHand < 0 });
    put(buttons.draw, { disabled: !editable, "aria-pressed": this.tool === "draw" });
    put(buttons.cut, { disabled: !editable || this.local === 0 });
    if (buttons.play.dataset.shows !== String(playing)) {
      buttons.play.dataset.shows = String(playing);
      buttons.play.replaceChildren(icon(playing ? "pause" : "play"));
    }
    put(buttons.lens, { "aria-pressed": this.lens, hidden: this.enlarged });
    for (const [name, on] of [["lock", this.lock], ["json", this.jsonOpen], ["enlarge", this.enlarged]]) put(buttons[name], { "aria-pressed": on });
    const seconds = `${(this.frame / clip.fps).toFixed(2)} s`;
    put(scrub, { max: String(clip.frameCount - 1), value: String(this.frame), "aria-valuetext": `${said(`frame ${this.frame + 1} of ${clip.frameCount}`)}, ${seconds}` });
    put(this.readout, { textContent: `${this.frame + 1} / ${clip.frameCount}   ${seconds}` });
    const summary = this.#summaryText(clip);
    put(this.summary, { textContent: summary, title: summary });
  }

  #summaryText({ frameCount, width, height }) {
    const nearest = nearestFrameCount(frameCount);
    const odd = nearest === frameCount ? "" : ` (${said(`Wan takes ${nearest}`)})`;
    const shots = this.#firsts.length > 2 ? `${said(`shot ${this.shot + 1} of ${this.#firsts.length - 1}`)}, ` : "";
    return `${this.path?.name || said("unnamed")}: ${shots}${said(`${frameCount} frames`)}${odd}, ${width} × ${height}`;
  }

  dispose() {
    this.pause();
    this.#observer.disconnect();
    this.#unsubscribe();
    if (this.enlarged) this.host.enlarge(false);
    for (const viewport of this.viewports) viewport.dispose();
    for (const panel of this.panels) panel.dispose?.();
    this.strip.dispose();
    this.root.remove();
  }
}

/** The same clip in fewer frames, as many as a drag needs to be followed. */
function draftOf(clip) {
  const frameCount = Math.min(clip.frameCount, DRAFT_FRAMES);
  return { ...clip, frameCount, fps: (clip.fps * (frameCount - 1)) / Math.max(clip.frameCount - 1, 1) || clip.fps };
}

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}
