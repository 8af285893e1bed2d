// Opens workflows in ComfyUI's own page, as its template browser does, and prints what came of them as JSON.
// Arguments: the server's address, "classic" or "nodes2", a folder for the screenshots, "run" or "look", the templates' names.
import path from "node:path";
import { ended, openPage, queued, ready } from "./page.mjs";

const [url, mode, folder, task, ...names] = process.argv.slice(2);
const WAIT = 600_000;
const report = {};
let faults = [];

/** Load a template by its address, as the template browser does. */
async function open(page, name) {
  await page.evaluate(async (file) => {
    const answer = await fetch(`/api/workflow_templates/raxel/${file}.json`);
    await window.app.loadGraphData(await answer.json(), true, true, file, { openSource: "template" });
  }, name);
  if (await page.evaluate(() => window.app.graph._nodes.some(({ type }) => type === "CameraTrajectoryBuilder"))) {
    await page.waitForSelector(".raxel-editor canvas");
  }
  await page.waitForTimeout(1500);
}

async function shot(page, name, what) {
  await page.screenshot({ path: path.join(folder, `${name}_${mode}_${what}.png`) });
}

async function run(page) {
  const { ok, answer } = await queued(page);
  if (!ok) return { status: "refused", error: JSON.stringify(answer).slice(0, 2000) };
  const entry = await ended(page, url, answer.prompt_id, WAIT);
  const failure = entry?.status.messages.find(([kind]) => kind === "execution_error");
  return { status: entry?.status.status_str ?? "no end", error: failure?.[1].exception_message ?? "" };
}

/** What the page says of the graph that is open. */
const seen = (page) =>
  page.evaluate(() => ({
    nodes: window.app.graph._nodes.length,
    missing: window.app.graph._nodes.filter(({ has_errors: broken, type }) => broken || !LiteGraph.registered_node_types[type] && type !== "MarkdownNote").map(({ type }) => type),
    scale: window.app.canvas.ds.scale,
    links: window.LGraphCanvas.link_type_colors.RAXEL_TRAJECTORY ?? null,
  }));

/** What Raxel Load Camera's button offers; its first file is then chosen. */
async function offered(page) {
  const found = await page.evaluate(async () => {
    const node = window.app.graph._nodes.find(({ type }) => type === "RaxelLoadCamera");
    const button = node?.widgets.find(({ name, label }) => (label ?? name) === "choose or upload a file");
    if (!button) return null;
    window.dispatchEvent(new PointerEvent("pointerdown", { clientX: 400, clientY: 300 }));
    button.callback();
    for (let waited = 0; waited < 100 && !document.querySelector(".litecontextmenu .litemenu-entry"); waited += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return [...document.querySelectorAll(".litecontextmenu .litemenu-entry:not(.separator)")].map(({ textContent }) => textContent);
  });
  if (!found?.length) return found;
  await page.locator(".litecontextmenu .litemenu-entry:not(.separator)").nth(2).click();
  const chosen = await page.evaluate(
    () => window.app.graph._nodes.find(({ type }) => type === "RaxelLoadCamera").widgets.find(({ name }) => name === "path").value,
  );
  return { found, chosen };
}

const [context, page] = await openPage(url, mode, { width: 1600, height: 1000 }, (fault) => faults.push(fault));
page.setDefaultTimeout(WAIT);
await ready(page, url);
for (const name of names) {
  faults = [];
  report[name] = {};
  try {
    await open(page, name);
    report[name].seen = await seen(page);
    await shot(page, name, "opened");
    if (task === "run") {
      report[name].run = await run(page);
      await page.waitForTimeout(1500);
    }
    await page.evaluate(() => window.app.extensionManager.command.execute("Comfy.Canvas.FitView"));
    await page.waitForTimeout(1500);
    await shot(page, name, "whole");
    report[name].offered = await offered(page);
  } catch (error) {
    faults.push(String(error));
  }
  report[name].faults = faults;
}
await context.close();
console.log(JSON.stringify(report));
