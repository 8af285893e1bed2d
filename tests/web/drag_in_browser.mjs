// What a frame costs the page's main thread while a key is dragged: 10,000 points of depth, 1,001 frames, 12 keys.
//
//     RAXEL_PLAYWRIGHT=.../playwright-core RAXEL_CHROMIUM=/usr/bin/chromium node tests/web/drag_in_browser.mjs URL classic|nodes2
//
// URL: a running ComfyUI with the pack. Counted by Chromium in the thread's processor time, which a loaded machine leaves alone;
// `shown` is how many frames a second were drawn by the clock, which needs a machine with nothing else to do.
import { ended, openPage, queued, ready } from "./page.mjs";

const [url, mode] = process.argv.slice(2);
const STEPS = 60;
const KEY_COLOR = [240, 180, 41];
const EDITOR = ".raxel-view[data-kind=free] canvas";
const WAIT = 300_000;

function graph() {
  const keys = Array.from({ length: 12 }, (_, i) => ({
    time: i / 11, position: [0.5 * Math.sin(i / 2), -0.1 * Math.cos(i), 0.05 * i], rotation_degrees: [3 * i, 0, 0], handle_out: [0.05, 0, 0.03],
  }));
  const path = { format: "raxel.camera_path", version: 1, name: "", plan: { moves: [{ move: "handheld" }], keys, depth: 1.3 } };
  const node = (id, type, pos, size, inputs, outputs, values) => ({
    id, type, pos, size, flags: {}, order: id, mode: 0, inputs, outputs, properties: {}, widgets_values: values,
  });
  const scene = ["images", "trajectory", "fps", "geometry"].map((name, slot) => ({
    name, type: ["IMAGE", "RAXEL_TRAJECTORY", "FLOAT", "MOGE_GEOMETRY"][slot], links: { 0: [2], 3: [3] }[slot] ?? [],
  }));
  const seen = [{ name: "image", type: "IMAGE", link: 2 }, { name: "depth", type: "IMAGE,MOGE_GEOMETRY,DA3_GEOMETRY", link: 3 }];
  const nodes = [
    node(1, "LoadRaxelModel", [0, 0], [330, 130], [], [{ name: "model", type: "MODEL", links: [1] }], ["raxel-tiny (embedded)", "default", "of the checkpoint"]),
    node(2, "RaxelExampleScene", [0, 220], [330, 190], [{ name: "model", type: "MODEL", link: 1 }], scene, [7, 832, 480]),
    node(3, "CameraTrajectoryBuilder", [420, 0], [460, 700], seen, [{ name: "trajectory", type: "RAXEL_TRAJECTORY", links: [] }], [path, 1001, 832, 480, 16, "near_depth", "disparity"]),
  ];
  const links = [[1, 1, 0, 2, 0, "MODEL"], [2, 2, 0, 3, 0, "IMAGE"], [3, 2, 3, 3, 1, "MOGE_GEOMETRY"]];
  return { last_node_id: 3, last_link_id: 3, version: 0.4, nodes, links };
}

/** In the page: drag the selected key about in the 3D view, a step a frame; how many pictures were drawn, in how many seconds. */
async function drag([selector, color, steps]) {
  const canvas = document.querySelector(selector);
  const box = canvas.getBoundingClientRect();
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const found = [];
  for (let i = 0; i < data.length; i += 4) {
    if (color.every((value, channel) => data[i + channel] === value)) found.push([(i / 4) % width, Math.floor(i / 4 / width)]);
  }
  const median = (axis) => found.map((at) => at[axis]).sort((a, b) => a - b)[found.length >> 1];
  const [x, y] = [(median(0) * box.width) / width, (median(1) * box.height) / height];
  Object.assign(canvas, { setPointerCapture: () => {}, hasPointerCapture: () => false });
  const tell = (type, dx, dy) =>
    canvas.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: box.left + x + dx, clientY: box.top + y + dy, pointerId: 1, button: 0 }));
  let drawn = 0;
  const { clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function counted(...area) {
    drawn += this.canvas === canvas ? 1 : 0;
    return clearRect.apply(this, area);
  };
  tell("pointerdown", 0, 0);
  const began = performance.now();
  for (let step = 0; step < steps; step += 1) {
    tell("pointermove", 40 * Math.sin(step / 10), 20 * Math.cos(step / 13));
    await new Promise(requestAnimationFrame);
  }
  const seconds = (performance.now() - began) / 1000;
  tell("pointerup", 0, 0);
  CanvasRenderingContext2D.prototype.clearRect = clearRect;
  return [drawn, seconds];
}

async function measured(client, page) {
  const now = async () => {
    const { metrics } = await client.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const before = await now();
  const [drawn, seconds] = await page.evaluate(drag, [EDITOR, KEY_COLOR, STEPS]);
  const after = await now();
  const each = (name) => Number(((1000 * (after[name] - before[name])) / drawn).toFixed(1));
  return { drawn, shown: Math.round(drawn / seconds), milliseconds: each("TaskDuration"), scripts: each("ScriptDuration"), layout: each("LayoutDuration") };
}

const faults = [];
const [context, page] = await openPage(url, mode, { width: 1280, height: 720 }, (fault) => faults.push(fault));
try {
  page.setDefaultTimeout(WAIT);
  await ready(page, url);
  await page.evaluate((data) => window.app.loadGraphData(data), graph());
  await page.waitForSelector(EDITOR);
  await ended(page, url, (await queued(page)).answer.prompt_id, WAIT);
  await page.waitForTimeout(3000);
  const client = await context.newCDPSession(page);
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.locator(EDITOR).focus();
  for (let i = 0; i < 3; i += 1) await page.keyboard.press("ArrowDown");
  await page.waitForTimeout(1000);
  await measured(client, page);
  const inNode = await measured(client, page);
  await page.keyboard.press("e");
  await page.waitForTimeout(2000);
  await measured(client, page);
  console.log(JSON.stringify({ mode, inNode, fourViews: await measured(client, page), faults }));
} finally {
  await context.close();
}
