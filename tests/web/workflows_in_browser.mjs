// Opens workflows in ComfyUI's own page, as its template browser does, and prints what came of them as JSON.
// Arguments: the server's address, "classic" or "nodes2", a folder for the screenshots, "run" or "look", the templates' names.
import { mkdtemp } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

const [url, mode, folder, task, ...names] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(process.env.RAXEL_PLAYWRIGHT);
const CHROMIUM_FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const RUN_TIME = 600_000;
const report = {};
let faults;

async function openPage() {
  const settings = {
    "Comfy.TutorialCompleted": true, "Comfy.VueNodes.Enabled": mode === "nodes2", "Comfy.Minimap.Visible": false,
    "Comfy.Workflow.Persist": false,
  };
  for (const [name, value] of Object.entries(settings)) {
    const headers = { "Content-Type": "application/json" };
    await fetch(`${url}/settings/${name}`, { method: "POST", headers, body: JSON.stringify(value) });
  }
  const profile = await mkdtemp(path.join(tmpdir(), "raxel-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.RAXEL_CHROMIUM, headless: true, args: CHROMIUM_FLAGS, viewport: { width: 1600, height: 1000 },
  });
  await context.route("**/*", (route) =>
    new URL(route.request().url()).hostname === "127.0.0.1" ? route.continue() : route.abort(),
  );
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", (error) => faults.push(error.message));
  return [context, page];
}

async function ready(page) {
  await page.goto(url);
  const there = () => window.app?.extensionManager && window.app.graph && Object.keys(LiteGraph.registered_node_types).length > 50;
  await page.waitForFunction(there, null, { timeout: 180_000 });
}

/** Load a template by its address, as the template browser does. */
async function open(page, name) {
  await page.evaluate(async (file) => {
    const answer = await fetch(`/api/workflow_templates/raxel/${file}.json`);
    await window.app.loadGraphData(await answer.json(), true, true, file, { openSource: "template" });
  }, name);
  if (await page.evaluate(() => window.app.graph._nodes.some(({ type }) => type === "CameraTrajectoryBuilder"))) {
    await page.waitForSelector(".raxel-editor canvas", { timeout: 120_000 });
  }
  await page.waitForTimeout(1500);
}

async function shot(page, name, what) {
  await page.screenshot({ path: path.join(folder, `${name}_${mode}_${what}.png`) });
}

async function run(page) {
  const answered = page.waitForResponse((response) => response.url().endsWith("/prompt") && response.request().method() === "POST");
  await page.evaluate(() => window.app.queuePrompt(0, 1));
  const response = await answered;
  const answer = await response.json();
  if (!response.ok()) return { status: "refused", error: JSON.stringify(answer).slice(0, 2000) };
  const end = Date.now() + RUN_TIME;
  while (Date.now() < end) {
    const history = await (await fetch(`${url}/history/${answer.prompt_id}`)).json();
    const entry = history[answer.prompt_id];
    if (entry) {
      const failure = entry.status.messages.find(([kind]) => kind === "execution_error");
      return { status: entry.status.status_str, error: failure?.[1].exception_message ?? "" };
    }
    await page.waitForTimeout(1000);
  }
  return { status: "no end", error: "" };
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

const [context, page] = await openPage();
faults = [];
await ready(page);
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
