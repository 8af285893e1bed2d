// The widget of a camera path. ComfyUI loads this one file on every page; the editor behind it comes with the first node.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const TYPE = "RAXEL_CAMERA_PATH";
const [MIN_WIDTH, MIN_HEIGHT] = [300, 200];
const NEW_NODE_SIZE = [460, 680];
// Asked for anew each, so that an updated pack never runs with old parts.
const MODULES = [
  "camera_files", "camera_math", "camera_path", "editor/attach", "editor/clip_presets", "editor/cloud", "editor/depth_picture",
  "editor/dom", "editor/draw", "editor/edits", "editor/editor", "editor/freehand", "editor/grips", "editor/icons", "editor/keyboard",
  "editor/keys_of_moves", "editor/lens", "editor/node_clip", "editor/palette", "editor/panels",
  "editor/speed_graph", "editor/speeds", "editor/store", "editor/strip", "editor/style", "editor/surface", "editor/timeline",
  "editor/view", "editor/viewport", "editor/words",
];

const LINK_COLORS = { RAXEL_TRAJECTORY: "#f0b429", RAXEL_ESTIMATE: "#d98324", RAXEL_RAY_MAP: "#5fb3b3", RAXEL_RAYPE: "#b48ead" };

let fresh;

function load(module) {
  const files = [...MODULES.map((name) => `./${name}.mjs`), "./editor/style.css", "./editor/icons.svg"];
  fresh ??= Promise.all(files.map((file) => fetch(new URL(file, import.meta.url), { cache: "no-cache" })));
  return fresh.then(() => import(`./editor/${module}.mjs`));
}

function cameraPathWidget(node, name, inputData) {
  const root = document.createElement("div");
  const state = { value: inputData[1]?.default ?? null, editor: null };
  const widget = node.addDOMWidget(name, TYPE, root, {
    getValue: () => (state.editor ? state.editor.value : state.value),
    setValue: (value) => (state.editor ? (state.editor.value = value) : (state.value = value)),
    getMinHeight: () => MIN_HEIGHT,
    hideOnZoom: false,
    // The side panel would keep a large empty place for it: the editor is in the node.
    hideInPanel: true,
    socketless: inputData[1]?.socketless ?? true,
  });
  // The side panel of older frontends draws every widget of a selected node once more and leaves its own width on it.
  Object.defineProperty(widget, "width", { get: () => undefined, set: () => {} });
  const language = app.ui?.settings?.getSettingValue?.("Comfy.Locale") ?? "en";
  load("words").then(({ learn }) => learn(language)).then(() => load("attach")).then(
    ({ attach }) => attach({ app, api, node, widget, root, state, clips: inputData[1]?.clips ?? {} }),
    (error) => (root.textContent = `The camera path editor could not be loaded: ${error.message}`),
  );
  return { widget, minWidth: MIN_WIDTH, minHeight: MIN_HEIGHT };
}

// Before each graph, since a change of ComfyUI's palette takes the colors away.
function colorLinks() {
  const tables = [app.canvas.default_connection_color_byType, window.LGraphCanvas.link_type_colors];
  for (const [type, color] of Object.entries(LINK_COLORS)) {
    for (const table of tables) table[type] = color;
    document.documentElement.style.setProperty(`--color-datatype-${type}`, color);
  }
}

app.registerExtension({
  name: "raxel.camera_path",
  // What the help says of the path is no tip to hang over the editor.
  beforeRegisterNodeDef(_, nodeData) {
    const path = nodeData.input?.required?.path;
    if (path?.[0] === TYPE) delete path[1].tooltip;
  },
  beforeConfigureGraph: colorLinks,
  getCustomWidgets: () => ({ [TYPE]: cameraPathWidget }),
  nodeCreated(node) {
    if (node.comfyClass === "RaxelLoadCamera") import("./camera_files.mjs").then((files) => files.offerFiles({ api, node }));
    if (!node.widgets?.some(({ type }) => type === TYPE)) return;
    node.setSize(NEW_NODE_SIZE.map((least, axis) => Math.max(least, node.size[axis])));
  },
});
