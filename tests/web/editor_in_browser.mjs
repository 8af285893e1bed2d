// Drives the builder's editor in ComfyUI's own frontend, and prints what it saw as JSON; tests/test_editor_browser.py judges.
// Arguments: the server's address, "classic" or "nodes2", the workflow's file, a folder for the screenshots.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { openPage, queued, ready } from "./page.mjs";

const [url, mode, workflowFile, folder] = process.argv.slice(2);
const HOSTILE = '<img src=x onerror="window.hacked = true">';
const KEY_COLOR = [240, 180, 41];
const PICTURE_COLOR = [255, 0, 255];
const WORDS = [
  "dolly", "orbit", "crane", "handheld", "camera path", "camera trajectory", "camera control", "camera shake", "camera solve",
  "matchmove", "extrinsics", "intrinsics", "pluecker", "plucker", "colmap", "nuke", "after effects", "usd", "focal length",
  "novel view", "ray map", "speed ramp",
];
const workflow = JSON.parse(await readFile(workflowFile, "utf8"));
const builderId = workflow.nodes.find(({ type }) => type === "CameraTrajectoryBuilder").id;
const report = { faults: [] };

async function load(page, graph) {
  await ready(page, url);
  await page.evaluate((data) => window.app.loadGraphData(data), graph);
  await page.waitForSelector(".raxel-editor canvas");
  await page.evaluate(() => window.app.extensionManager.command.execute("Comfy.Canvas.FitView"));
  await settled(page, 1000);
}

const settled = (page, time = 250) => page.waitForTimeout(time);
const pathOf = (page) => page.evaluate(async (id) => (await window.app.graphToPrompt()).output[id].inputs.path, builderId);
const readout = (page) => page.locator(".raxel-readout").last().textContent();
const frameOf = async (page) => Number((await readout(page)).split("/")[0]);

/** The middle of the selected key's mark in the 3D view, in pixels of the page: the median place of its colour. */
async function selectedKey(page) {
  const [x, y] = await page.evaluate((color) => {
    const canvas = document.querySelector(".raxel-view[data-kind=free] canvas");
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = [];
    for (let i = 0; i < data.length; i += 4) {
      if (color.every((value, channel) => data[i + channel] === value)) found.push([(i / 4) % width, Math.floor(i / 4 / width)]);
    }
    const median = (axis) => found.map((at) => at[axis]).sort((a, b) => a - b)[Math.floor(found.length / 2)];
    return [median(0) / width, median(1) / height];
  }, KEY_COLOR);
  const box = await page.locator(".raxel-view[data-kind=free] canvas").boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

/** How many pixels of the 3D view have exactly a colour. */
async function pixelsOf(page, color) {
  return page.evaluate((wanted) => {
    const canvas = document.querySelector(".raxel-view[data-kind=free] canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += wanted.every((value, channel) => data[i + channel] === value) ? 1 : 0;
    return count;
  }, color);
}

/** What ComfyUI's own search answers first to words that artists use. */
async function search(page) {
  report.found = await page.evaluate((words) => {
    const { $pinia } = document.querySelector("#vue-app").__vue_app__.config.globalProperties;
    const service = $pinia._s.get("nodeDef").nodeSearchService;
    return Object.fromEntries(words.map((word) => [word, service.searchNode(word).slice(0, 3).map(({ python_module: module }) => module)]));
  }, WORDS);
}

async function queue(page) {
  const { answer, sent } = await queued(page);
  return { id: answer.prompt_id, path: sent[builderId].inputs.path };
}

async function selectSecondKey(page) {
  const view = page.locator(".raxel-view[data-kind=free] canvas");
  await view.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await settled(page);
}

async function drag(page, [x, y], [dx, dy]) {
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + dx / 2, y + dy / 2);
  await page.mouse.move(x + dx, y + dy);
  await page.mouse.up();
  await settled(page);
}

async function history(page) {
  await page.evaluate((id) => (window.app.graph.getNodeById(id).raxelMark = 1), builderId);
  report.dragged = await pathOf(page);
  await page.keyboard.press("Control+z");
  await settled(page, 600);
  report.undone = await pathOf(page);
  await page.keyboard.press("Control+Shift+z");
  await settled(page, 600);
  report.redone = await pathOf(page);
  report.nodeKept = await page.evaluate((id) => window.app.graph.getNodeById(id)?.raxelMark === 1, builderId);
}

async function play(page) {
  await page.keyboard.press("Home");
  await settled(page);
  report.frameAtHome = await frameOf(page);
  await page.keyboard.press(" ");
  await settled(page, 700);
  report.frameWhilePlaying = await frameOf(page);
  await page.keyboard.press(" ");
  await settled(page);
  const stopped = await frameOf(page);
  await settled(page, 400);
  report.stands = stopped === (await frameOf(page));
}

async function keyboard(page) {
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowLeft");
  await settled(page);
  report.frameBeforeEnd = await frameOf(page);
  await page.keyboard.press("k");
  await settled(page);
  report.withKey = await pathOf(page);
  await page.keyboard.press("Delete");
  await settled(page);
  report.withoutKey = await pathOf(page);
  report.nodeSurvivesDelete = await page.evaluate((id) => Boolean(window.app.graph.getNodeById(id)), builderId);
}

async function preset(page) {
  await page.locator(".raxel-editor [role=tab]").nth(0).click();
  await page.locator('.raxel-editor [data-move="spiral"]').click();
  await settled(page);
  report.preset = await pathOf(page);
}

const box = (page, kind) => page.locator(`.raxel-view[data-kind=${kind}] canvas`).boundingBox();

/** A drag inside one of the enlarged editor's views, in pixels of that view. */
async function dragIn(page, kind, [x, y], by, button = "left") {
  const at = await box(page, kind);
  await page.mouse.move(at.x + x, at.y + y);
  await page.mouse.down({ button });
  await page.mouse.move(at.x + x + by[0] / 2, at.y + y + by[1] / 2);
  await page.mouse.move(at.x + x + by[0], at.y + y + by[1]);
  await page.mouse.up({ button });
  await settled(page);
}

/** Over the whole window: turn the camera in its view, draw from above, pull the speed, cut, loop; all undone at the end. */
async function enlarged(page) {
  const before = await pathOf(page);
  await page.keyboard.press("e");
  await settled(page, 700);
  report.views = await page.locator(".raxel-view:visible").count();
  report.fills = await page.locator(".raxel-overlay").boundingBox();
  await page.screenshot({ path: path.join(folder, `editor_${mode}_enlarged.png`) });
  await page.keyboard.press("Home");
  await dragIn(page, "camera", [120, 90], [60, 20]);
  report.turned = await pathOf(page);
  await page.keyboard.press("d");
  const at = await box(page, "top");
  await page.mouse.move(at.x + 60, at.y + 160);
  await page.mouse.down();
  for (let i = 0; i <= 20; i += 1) await page.mouse.move(at.x + 60 + 8 * i, at.y + 160 - 60 * Math.sin(i / 8));
  await page.mouse.up();
  await page.keyboard.press("d");
  await settled(page);
  report.drawn = await pathOf(page);
  await page.locator(".raxel-editor [role=tab]").nth(3).click();
  const graph = await page.locator(".raxel-graph canvas").boundingBox();
  await drag(page, [graph.x + graph.width / 2, graph.y + graph.height / 2], [0, -60]);
  report.pulled = await pathOf(page);
  await page.locator(".raxel-editor [role=tab]").nth(4).click();
  await page.getByText("loop", { exact: true }).click();
  await settled(page);
  report.looped = await pathOf(page);
  report.loopFault = await page.locator(".raxel-fault").textContent();
  await page.locator(".raxel-view[data-kind=free] canvas").focus();
  for (let i = 0; i < 12; i += 1) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("c");
  await settled(page);
  report.cut = await pathOf(page);
  await page.screenshot({ path: path.join(folder, `editor_${mode}_shots.png`) });
  for (let i = 0; i < 20 && !report.allUndone; i += 1) {
    await page.keyboard.press("Control+z");
    await settled(page, 100);
    report.allUndone = JSON.stringify(await pathOf(page)) === JSON.stringify(before);
  }
  await page.keyboard.press("e");
  await settled(page, 400);
  report.backInNode = await page.locator(".raxel-overlay").count();
  await page.locator(".raxel-view[data-kind=free] canvas").focus();
}

async function hostile(page) {
  await page.locator(".raxel-editor [role=tab]").nth(4).click();
  await page.locator('.raxel-editor input[type="text"]').fill(HOSTILE);
  await settled(page, 600);
  report.named = (await pathOf(page)).name;
  report.shown = await page.locator(".raxel-editor .raxel-readout").first().textContent();
  report.images = await page.locator(".raxel-editor img").count();
  report.hacked = await page.evaluate(() => window.hacked === true);
}

/** How often anything is drawn while nothing happens. */
async function idle(page) {
  report.drawnIdle = await page.evaluate(async () => {
    let drawn = 0;
    const { clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function counted(...box) {
      drawn += this.canvas.closest(".raxel-editor") ? 1 : 0;
      return clearRect.apply(this, box);
    };
    await new Promise((resolve) => setTimeout(resolve, 600));
    CanvasRenderingContext2D.prototype.clearRect = clearRect;
    return drawn;
  });
}

async function broken(page, text) {
  await page.evaluate(([id, value]) => {
    window.app.graph.getNodeById(id).widgets.find(({ name }) => name === "path").value = value;
  }, [builderId, text]);
  await settled(page);
  report.fault = await page.locator(".raxel-fault").textContent();
  report.keptText = await pathOf(page);
}

const [context, page] = await openPage(url, mode, { width: 1400, height: 1000 }, (fault) => report.faults.push(fault));
try {
  await load(page, workflow);
  await search(page);
  report.before = await pathOf(page);
  report.picturePixels = await pixelsOf(page, PICTURE_COLOR);
  report.first = await queue(page);
  await selectSecondKey(page);
  await drag(page, await selectedKey(page), [50, -30]);
  await history(page);
  await play(page);
  report.second = await queue(page);
  await settled(page, 1500);
  await idle(page);
  await page.screenshot({ path: path.join(folder, `editor_${mode}.png`) });
  await enlarged(page);
  await keyboard(page);
  await preset(page);
  await hostile(page);
  const saved = await page.evaluate(() => window.app.graph.serialize());
  report.saved = saved.nodes.find(({ id }) => id === builderId).widgets_values;
  const old = await pathOf(page);
  await load(page, saved);
  report.reloaded = JSON.stringify(await pathOf(page)) === JSON.stringify(old);
  report.hackedAgain = await page.evaluate(() => window.hacked === true);
  await broken(page, "{ not a path");
} finally {
  await context.close();
}
console.log(JSON.stringify(report));
