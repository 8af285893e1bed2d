// Where the editor meets ComfyUI: the node's widgets give the clip, its links the picture, its runs what they were.

import { defaultPath } from "../camera_path.mjs";
import { Editor } from "./editor.mjs";
import { CLIP_WIDGETS, clipOf, isLinked, originOf, viewPath, viewPathOf } from "./node_clip.mjs";

const PICTURE_PIXELS = 448;

/** The name of one of a node's methods that ComfyUI calls, which goes on doing what it did and then calls `after`. */
function chain(object, name, after) {
  const before = object[name];
  object[name] = function chained(...values) {
    const result = before?.apply(this, values);
    after(...values);
    return result;
  };
}

/** Put an editor into the widget of a node, for as long as the node is in a graph. */
export function attach({ app, api, node, widget, root, state }) {
  root.style.cssText = "min-width: 0; min-height: 490px;";
  const view = new NodeView({ app, api, node, widget });
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
  #lastRun = null;
  #lastPicture = null;
  #fallback;
  #loaded = { url: null, aspect: 0, canvas: null };

  constructor({ app, api, node, widget }) {
    Object.assign(this, { app, api, node, widget });
    const { frame_count: frameCount, fps, width, height, unit } = defaultPath();
    this.#fallback = { frameCount, fps, width, height, unit };
  }

  open(value) {
    this.editor = new Editor(this, value);
    this.editor.root.addEventListener("pointerenter", () => this.refresh());
    this.#loadPicture();
    return this.editor;
  }

  close() {
    this.editor.dispose();
    this.editor = null;
  }

  refresh() {
    if (!this.editor) return;
    this.#loadPicture();
    this.editor.refresh();
  }

  ran(output) {
    this.#lastRun = output?.raxel_clip?.[0] ?? this.#lastRun;
    this.#lastPicture = output?.raxel_image?.[0] ?? this.#lastPicture;
    this.refresh();
  }

  clip() {
    return clipOf(this.node, this.#lastRun, this.#fallback);
  }

  picture() {
    return this.#loaded.canvas;
  }

  changed() {
    this.widget.callback?.(this.widget.value);
    this.node.setDirtyCanvas?.(true, false);
  }

  /** In the classic mode nothing but the graph's own canvas hears the wheel; in Nodes 2.0 the event finds its way. */
  passWheel(event) {
    if (window.LiteGraph?.vueNodesMode) return;
    event.preventDefault();
    this.app.canvas.processMouseWheel(event);
  }

  /** Where the picture that is linked to the node can be had, or null. */
  #pictureUrl() {
    if (!isLinked(this.node, "image")) return null;
    const origin = originOf(this.node, "image");
    const { graph } = this.node;
    const outputs = origin && this.app.nodeOutputs?.[graph?.isRootGraph === false ? `${graph.id}:${origin.id}` : origin.id];
    const path = (origin && viewPathOf(origin, outputs)) ?? (this.#lastPicture && viewPath(this.#lastPicture));
    return path ? this.api.apiURL(path) : (origin?.imgs?.[0]?.src ?? null);
  }

  #loadPicture() {
    const { width, height } = this.clip();
    const [url, aspect] = [this.#pictureUrl(), width / height];
    if (url === this.#loaded.url && aspect === this.#loaded.aspect) return;
    this.#loaded = { url, aspect, canvas: null };
    if (!url) return;
    const [wanted, image] = [this.#loaded, new Image()];
    image.onload = () => {
      wanted.canvas = cropped(image, aspect);
      this.editor?.viewport.frameUnlessTurned();
    };
    image.src = url;
  }
}

/** The middle of a picture in the clip's aspect, as the video models take it, small enough to be drawn in pieces. */
function cropped(image, aspect) {
  const canvas = document.createElement("canvas");
  const longest = Math.max(aspect, 1);
  [canvas.width, canvas.height] = [Math.round((PICTURE_PIXELS * aspect) / longest), Math.round(PICTURE_PIXELS / longest)];
  const width = Math.min(image.naturalWidth, image.naturalHeight * aspect);
  const height = width / aspect;
  const [left, top] = [(image.naturalWidth - width) / 2, (image.naturalHeight - height) / 2];
  canvas.getContext("2d").drawImage(image, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return canvas;
}
