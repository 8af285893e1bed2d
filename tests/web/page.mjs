// A page of a running ComfyUI in a fresh Chromium that reaches nothing but this machine.
import { mkdtemp } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

const { chromium } = createRequire(import.meta.url)(process.env.RAXEL_PLAYWRIGHT);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** [context, page] in a mode ("classic" or "nodes2") and a `viewport`; `fault` hears each error of the page. */
export async function openPage(url, mode, viewport, fault) {
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
    executablePath: process.env.RAXEL_CHROMIUM, headless: true, args: FLAGS, viewport,
  });
  await context.route("**/*", (route) =>
    new URL(route.request().url()).hostname === "127.0.0.1" ? route.continue() : route.abort(),
  );
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", (error) => fault(error.message));
  return [context, page];
}

/** Go to the page and wait until ComfyUI and its nodes are there. */
export async function ready(page, url) {
  await page.goto(url, { timeout: 400_000 });
  const there = () => window.app?.extensionManager && window.app.graph && Object.keys(LiteGraph.registered_node_types).length > 50;
  await page.waitForFunction(there, null, { timeout: 400_000 });
}

/** Queue the graph; the server's answer and what was sent. */
export async function queued(page) {
  const answered = page.waitForResponse((response) => response.url().endsWith("/prompt") && response.request().method() === "POST");
  await page.evaluate(() => window.app.queuePrompt(0, 1));
  const response = await answered;
  return { ok: response.ok(), answer: await response.json(), sent: JSON.parse(response.request().postData()).prompt };
}

/** The entry of a prompt in the server's history, once it has ended; undefined where it takes longer than `most` ms. */
export async function ended(page, url, id, most) {
  for (const end = Date.now() + most; Date.now() < end; await page.waitForTimeout(1000)) {
    const entry = (await (await fetch(`${url}/history/${id}`)).json())[id];
    if (entry) return entry;
  }
  return undefined;
}
