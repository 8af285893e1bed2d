// The editor's looks, in ComfyUI's own colours.

const CSS = `
.raxel-editor { --accent: #4fa3ff; --line: var(--border-color, #4e4e4e); --ink: var(--input-text, #ddd);
  --field: var(--comfy-input-bg, #222); --quiet: var(--descrip-text, #999);
  display: flex; flex-direction: column; gap: 4px; min-width: 400px; min-height: 470px; height: 100%; width: 100%;
  box-sizing: border-box; padding: 2px; font: 11px/1.3 Inter, system-ui, sans-serif; color: var(--ink); user-select: none;
  overflow: hidden; text-align: left; }
.raxel-editor *, .raxel-editor *::before { box-sizing: border-box; }
.raxel-editor svg { width: 16px; height: 16px; fill: none; stroke: currentColor; stroke-width: 1.4; stroke-linecap: round;
  stroke-linejoin: round; flex: none; display: block; }
.raxel-editor button { font: inherit; color: var(--ink); background: var(--field); border: 1px solid var(--line);
  border-radius: 4px; cursor: pointer; display: inline-flex; align-items: center; justify-content: center; gap: 5px; margin: 0;
  min-width: 24px; height: 24px; padding: 0 4px; white-space: nowrap; }
.raxel-editor button:hover:not(:disabled) { border-color: var(--accent); }
.raxel-editor button:disabled { opacity: 0.35; cursor: default; }
.raxel-editor button[aria-pressed="true"], .raxel-editor [role="tab"][aria-selected="true"] { border-color: var(--accent);
  background: color-mix(in srgb, var(--accent) 22%, var(--field)); }
.raxel-editor :is(button, input, select, textarea, canvas):focus-visible { outline: 2px solid var(--accent); outline-offset: -1px; }
.raxel-editor :is(input, select, textarea) { font: inherit; color: var(--ink); background: var(--field);
  border: 1px solid var(--line); border-radius: 4px; height: 22px; padding: 0 4px; margin: 0; min-width: 0; }
.raxel-editor select { cursor: pointer; }
.raxel-editor option { background: var(--comfy-menu-bg, #222); color: var(--ink); }
.raxel-editor input[type="number"] { text-align: right; appearance: textfield; }
.raxel-editor input[type="number"]::-webkit-inner-spin-button { appearance: none; }
.raxel-editor input[type="checkbox"] { height: 14px; width: 14px; accent-color: var(--accent); }
.raxel-editor input[type="range"] { padding: 0; border: 0; background: none; accent-color: var(--accent); height: 16px; }
.raxel-bar { display: flex; gap: 3px; align-items: center; flex: none; }
.raxel-bar > .raxel-space { flex: 1; min-width: 0; }
.raxel-readout { white-space: pre; font-variant-numeric: tabular-nums; color: var(--quiet); overflow: hidden;
  text-overflow: ellipsis; padding: 0 4px; }
.raxel-live { display: flex; flex-direction: column; gap: 4px; flex: 1; min-height: 0; }
.raxel-live[hidden] { display: none; }
.raxel-view { position: relative; flex: 1 1 180px; min-height: 170px; border: 1px solid var(--line); border-radius: 6px;
  overflow: hidden; background: #16181c; }
.raxel-view canvas, .raxel-strip canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; touch-action: none; }
.raxel-view canvas { cursor: grab; }
.raxel-hint { position: absolute; left: 8px; top: 6px; color: #9aa0a8; pointer-events: none; max-width: 62%; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; text-shadow: 0 0 3px #000; }
.raxel-strip { position: relative; height: 76px; flex: none; }
.raxel-strip canvas { cursor: ew-resize; }
.raxel-speeds { position: absolute; left: 16px; top: 21px; pointer-events: none; display: flex; gap: 8px;
  font-variant-numeric: tabular-nums; text-shadow: 0 0 3px #000, 0 0 3px #000; }
.raxel-tabs { display: flex; gap: 3px; flex: none; }
.raxel-tabs [role="tab"] { flex: 1; height: 22px; }
.raxel-panel { height: 134px; flex: none; overflow-y: auto; overflow-x: hidden; scrollbar-width: thin; padding: 1px; }
.raxel-panel[hidden] { display: none; }
.raxel-presets { display: grid; grid-template-columns: repeat(auto-fill, minmax(98px, 1fr)); gap: 3px; }
.raxel-presets button { justify-content: flex-start; padding: 0 4px; gap: 4px; overflow: hidden; }
.raxel-presets button span { overflow: hidden; text-overflow: ellipsis; }
.raxel-line { display: flex; gap: 4px; align-items: center; min-height: 24px; margin-bottom: 3px; }
.raxel-line > .raxel-name { display: flex; gap: 5px; align-items: center; flex: 1 1 78px; min-width: 0; }
.raxel-line > .raxel-name span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.raxel-line.raxel-chosen { background: color-mix(in srgb, var(--accent) 14%, transparent); border-radius: 4px; }
.raxel-line label, .raxel-line .raxel-label { color: var(--quiet); display: inline-flex; gap: 4px; align-items: center; white-space: nowrap; }
.raxel-line .raxel-first { width: 72px; flex: none; color: var(--quiet); }
.raxel-line input[type="number"] { width: 52px; flex: 0 1 auto; }
.raxel-line.raxel-layer { display: grid; gap: 3px;
  grid-template-columns: minmax(64px, 1fr) 48px 10px 24px 38px 12px 38px 72px 20px 20px 20px; }
.raxel-layer :is(input[type="number"], select) { width: 100%; }
.raxel-line input[type="text"] { flex: 1; }
.raxel-line select { flex: 0 1 auto; }
.raxel-line button { flex: none; }
.raxel-line button.raxel-small { min-width: 20px; width: 20px; height: 20px; padding: 0; }
.raxel-line button.raxel-small svg { width: 12px; height: 12px; }
.raxel-quiet { color: var(--quiet); margin: 4px 2px; white-space: normal; }
.raxel-fault { flex: none; color: #ffb4a8; background: rgb(120 30 20 / 35%); border: 1px solid #a5503f; border-radius: 4px;
  padding: 4px 6px; max-height: 64px; overflow-y: auto; user-select: text; overflow-wrap: anywhere; }
.raxel-fault:empty { display: none; }
.raxel-fault.raxel-note { color: var(--quiet); background: none; border-color: var(--line); }
.raxel-tabs[hidden] { display: none; }
.raxel-json { display: flex; flex-direction: column; gap: 4px; flex: 1; min-height: 0; }
.raxel-json[hidden] { display: none; }
.raxel-json textarea { flex: 1; resize: none; padding: 6px; font: 11px/1.35 ui-monospace, monospace; user-select: text; white-space: pre; }
`;

const ID = "raxel-editor-style";

/** Puts the style sheet into the page, once. */
export function addStyle() {
  if (document.getElementById(ID)) return;
  const style = document.createElement("style");
  style.id = ID;
  style.textContent = CSS;
  document.head.append(style);
}
