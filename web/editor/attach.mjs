// Where the editor meets ComfyUI: the node's widgets give the clip, its links the picture, its runs what they were.

import { defaultPath } from "../camera_path.mjs";
import { CLIP_PRESETS } from "./clip_presets.mjs";
import { croppedPicture, decodedCloud } from "./depth_picture.mjs";
import { element } from "./dom.mjs";
import { Editor } from "./editor.mjs";
import { CLIP_WIDGETS, clipOf, clipWidgetsOf, isLinked, modelOf, originOf, viewPath, viewPathOf } from "./node_clip.mjs";

const PICTURE_PIXELS = 448;
const NOTICE_MS = 150;

/** The name of one of a node's methods that ComfyUI calls, which goes on doing what it did and then calls `after`. */
function chain(object, name, after) {
  const before = object[name];
  object[name] = function chained(...values) {
    const result = before?.apply(this, values);
    after(...values);
    return result;
  };
}

/** Put an editor into the widget of a node, for as long as the node is in a graph. `clips`: those of models by file. */
export function attach({ app, api, node, widget, root, state, clips }) {
  const view = new NodeView({ app, api, node, widget, root, clips });
  const mount = () => {
    if (state.editor) return;
    state.editor = view.open(state.value);
    root.replaceChildren(state.editor.root);
  };
  const unmount = () => {
    if (!state.editor) return;
    state.value = state.editor.value;
    view.close();
    state.editor = null;
  };
  mount();
  chain(node, "onAdded", mount);
  chain(node, "onRemoved", unmount);
  chain(node, "onConnectionsChange", () => view.refresh());
  chain(node, "onExecuted", (output) => view.ran(output));
  for (const other of node.widgets) if (CLIP_WIDGETS.includes(other.name)) chain(other, "callback", () => view.refresh());
}

/** One node as the editor's surroundings: its host. */
class NodeView {
  app; api; node; widget; root; clips;
  #lastRun = null;
  #lastPicture = null;
  #lastDepth = null;
  #fallback;
  #loaded = { key: null, picture: null, cloud: null };
  #overlay = null;
  #notice = 0;

  constructor({ app, api, node, widget, root, clips }) {
    Object.assign(this, { app, api, node, widget, root, clips });
    const { frame_count: frameCount, fps, width, height, unit } = defaultPath();
    this.#fallback = { frameCount, fps, width, height, unit };
  }

  open(value) {
    this.editor = new Editor(this, value);
    this.editor.root.addEventListener("pointerenter", () => this.refresh());
    this.#load();
    return this.editor;
  }

  close() {
    clearTimeout(this.#notice);
    this.editor.dispose();
    this.editor = null;
  }

  refresh() {
    if (!this.editor) return;
    this.#load();
    this.editor.refresh();
  }

  ran(output) {
    this.#lastRun = output?.raxel_clip?.[0] ?? this.#lastRun;
    this.#lastPicture = output?.raxel_image?.[0] ?? this.#lastPicture;
    this.#lastDepth = output?.raxel_depth?.[0] ?? null;
    this.refresh();
  }

  clip() {
    return clipOf(this.node, this.#lastRun, this.#fallback);
  }

  /** The clips that a size can be chosen for: the one of the model that the path goes to first. */
  presets() {
    const model = modelOf(this.node, this.clips);
    return model ? [model, ...CLIP_PRESETS] : CLIP_PRESETS;
  }

  setClip(clip) {
    if (!clip) return;
    for (const [widget, value] of clipWidgetsOf(this.node, clip)) {
      widget.value = value;
      widget.callback?.(value);
    }
    this.refresh();
    this.changed();
  }

  picture() {
    return this.#loaded.picture;
  }

  cloud() {
    return this.#loaded.cloud;
  }

  /** A drag changes the path many times a second; the page hears of it a few times. */
  changed() {
    this.#notice ||= setTimeout(() => {
      this.#notice = 0;
      this.widget.callback?.(this.widget.value);
      this.node.setDirtyCanvas?.(true, false);
    }, NOTICE_MS);
  }

  /** In the classic mode nothing but the graph's own canvas hears the wheel; in Nodes 2.0 the event finds its way. */
  passWheel(event) {
    if (/** @type {any} */ (window).LiteGraph?.vueNodesMode) return;
    event.preventDefault();
    this.app.canvas.processMouseWheel(event);
  }

  /** Take the editor out of the node over the whole window, or back. */
  enlarge(on) {
    // Behind the editor there is nothing to draw.
    this.app.canvas.pause_rendering = on;
    if (!on) {
      this.node.setDirtyCanvas?.(true, true);
      this.#overlay?.remove();
      this.#overlay = null;
      this.root.replaceChildren(this.editor.root);
      return;
    }
    const back = element("button", { type: "button", textContent: "The editor fills the window: bring it back", onclick: () => this.editor.toggleEnlarged() });
    this.#overlay = element("div", { className: "raxel-overlay", role: "dialog", "aria-modal": "true", "aria-label": "Camera path" }, this.editor.root);
    // Nothing that is typed or scrolled in it is meant for the graph behind it.
    for (const name of ["keydown", "wheel", "pointerdown", "paste", "copy"]) {
      this.#overlay.addEventListener(name, (event) => event.ctrlKey || event.metaKey || event.stopPropagation());
    }
    document.body.append(this.#overlay);
    this.root.replaceChildren(back);
  }

  #urlOf(path) {
    return path && this.api.apiURL(path);
  }

  /** Where the picture that is linked to the node can be had, or null. */
  #pictureUrl() {
    if (!isLinked(this.node, "image")) return null;
    const origin = originOf(this.node, "image");
    const { graph } = this.node;
    const outputs = origin && this.app.nodeOutputs?.[graph?.isRootGraph === false ? `${graph.id}:${origin.id}` : origin.id];
    const path = (origin && viewPathOf(origin, outputs)) ?? (this.#lastPicture && viewPath(this.#lastPicture));
    return path ? this.#urlOf(path) : (origin?.imgs?.[0]?.src ?? null);
  }

  #depthUrl() {
    return this.#lastDepth && isLinked(this.node, "depth") ? this.#urlOf(viewPath(this.#lastDepth)) : null;
  }

  async #load() {
    const { width, height } = this.clip();
    const [url, depthUrl, aspect] = [this.#pictureUrl(), this.#depthUrl(), width / height];
    const key = JSON.stringify([url, depthUrl, aspect]);
    if (key === this.#loaded.key) return;
    const wanted = { key, picture: null, cloud: null };
    this.#loaded = wanted;
    const [image, depth] = await Promise.all([loadedImage(url), loadedImage(depthUrl)]);
    wanted.picture = image && croppedPicture(image, aspect, PICTURE_PIXELS);
    wanted.cloud = depth && decodedCloud(depth, image, aspect, this.#lastDepth);
    if (image || depth) this.editor?.pictureCame();
  }
}

/** The picture at an address, null where there is none. */
async function loadedImage(url) {
  if (!url) return null;
  const image = new Image();
  image.src = url;
  return image.decode().then(() => image, () => null);
}
