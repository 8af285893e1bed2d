// The editor's looks, in ComfyUI's own colours.

const CSS = `
.raxel-editor { --accent: #4fa3ff; --line: var(--border-color, #4e4e4e); --ink: var(--input-text, #ddd);
  --field: var(--comfy-input-bg, #222); --quiet: var(--descrip-text, #999); --view: #16181c; --alarm: #ffb4a8;
  --alarm-field: rgb(120 30 20 / 35%); container-type: size; display: flex; flex-direction: column; gap: 4px; min-width: 0;
  min-height: 190px; height: 100%; width: 100%; box-sizing: border-box; padding: 2px; font: 11px/1.3 Inter, system-ui, sans-serif;
  color: var(--ink); user-select: none; overflow: hidden; text-align: left; }
.raxel-editor.raxel-light { --view: #f1f3f6; --alarm: #7d1a0c; --alarm-field: #fde3de; --quiet: #565b63; --line: #b9bec6; }
.raxel-editor *, .raxel-editor *::before { box-sizing: border-box; }
.raxel-editor [hidden] { display: none !important; }
.raxel-editor svg { width: 16px; height: 16px; fill: none; stroke: currentColor; stroke-width: 1.4; stroke-linecap: round;
  stroke-linejoin: round; flex: none; display: block; }
.raxel-editor button { font: inherit; color: var(--ink); background: var(--field); border: 1px solid var(--line);
  border-radius: 5px; cursor: pointer; display: inline-flex; align-items: center; justify-content: center; gap: 5px; margin: 0;
  min-width: 24px; height: 24px; padding: 0 4px; white-space: nowrap; }
.raxel-editor button:hover:not(:disabled) { border-color: var(--accent); }
.raxel-editor button:disabled { opacity: 0.35; cursor: default; }
.raxel-editor button[aria-pressed="true"], .raxel-editor [role="tab"][aria-selected="true"] { border-color: var(--accent);
  background: color-mix(in srgb, var(--accent) 22%, var(--field)); }
.raxel-editor :is(button, input, select, textarea, canvas):focus-visible { outline: 2px solid var(--accent); outline-offset: -1px; }
.raxel-editor :is(input, select, textarea) { font: inherit; color: var(--ink); background: var(--field);
  border: 1px solid var(--line); border-radius: 5px; height: 22px; padding: 0 5px; margin: 0; min-width: 0; }
.raxel-editor select { cursor: pointer; }
.raxel-editor option { background: var(--comfy-menu-bg, #222); color: var(--ink); }
.raxel-editor input[type="number"] { appearance: textfield; font-variant-numeric: tabular-nums; }
.raxel-editor input[type="number"]::-webkit-inner-spin-button { appearance: none; }
.raxel-editor input[type="checkbox"] { height: 14px; width: 14px; accent-color: var(--accent); }
.raxel-editor input[type="range"] { padding: 0; border: 0; background: none; accent-color: var(--accent); height: 16px; }
.raxel-bar { display: flex; gap: 3px; align-items: center; flex: none; }
.raxel-bar > .raxel-space { flex: 1; min-width: 0; }
.raxel-readout { white-space: pre; font-variant-numeric: tabular-nums; color: var(--quiet); overflow: hidden;
  text-overflow: ellipsis; padding: 0 4px; }
.raxel-live { display: flex; flex-direction: column; gap: 4px; flex: 1; min-height: 0; }
.raxel-views { position: relative; flex: 1 1 150px; min-height: 90px; display: grid; gap: 4px; grid-template: 1fr 1fr / 1fr 1fr; }
.raxel-views.raxel-single { grid-template: 1fr / 1fr; }
.raxel-view { position: relative; min-width: 0; min-height: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
  background: var(--view); }
.raxel-view canvas, .raxel-strip canvas, .raxel-graph canvas { position: absolute; inset: 0; width: 100%; height: 100%;
  display: block; touch-action: none; }
.raxel-view canvas { cursor: grab; }
.raxel-editor button.raxel-kind { position: absolute; left: 6px; top: 6px; height: 18px; opacity: 0.75; }
.raxel-draw { position: absolute; left: 50%; bottom: 8px; transform: translateX(-50%); display: flex; gap: 6px; align-items: center;
  padding: 4px 8px; border-radius: 6px; border: 1px solid var(--line); background: var(--comfy-menu-bg, #222); white-space: nowrap; }
.raxel-strip { position: relative; height: 72px; flex: none; }
.raxel-strip canvas { cursor: ew-resize; }
.raxel-speeds { position: absolute; left: 16px; top: 21px; pointer-events: none; display: flex; gap: 8px; font-weight: 600;
  font-variant-numeric: tabular-nums; }
.raxel-travel { color: #3d94f6; }
.raxel-turn { color: #ee7d2b; }
.raxel-side { display: flex; flex-direction: column; gap: 4px; flex: none; min-height: 0; }
.raxel-tabs { display: flex; gap: 3px; flex: none; }
.raxel-tabs [role="tab"] { flex: 1 1 auto; min-width: 0; height: 22px; }
.raxel-panel { height: 150px; flex: none; overflow-y: auto; overflow-x: hidden; scrollbar-width: thin; padding: 1px; }
.raxel-presets { display: grid; grid-template-columns: repeat(auto-fill, minmax(98px, 1fr)); gap: 3px; }
.raxel-presets button { justify-content: flex-start; padding: 0 4px; gap: 4px; overflow: hidden; }
.raxel-presets button span { overflow: hidden; text-overflow: ellipsis; }
.raxel-line { display: flex; gap: 6px; align-items: end; min-height: 24px; margin-bottom: 4px; flex-wrap: wrap; }
.raxel-line > .raxel-label { align-self: center; }
.raxel-line button, .raxel-cells button { padding: 0 8px; }
.raxel-cells { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 4px 6px; align-items: end; margin-bottom: 5px; }
.raxel-cell { display: flex; flex-direction: column; gap: 1px; min-width: 0; }
.raxel-cell.raxel-wide { grid-column: span 2; }
.raxel-cell > span { color: var(--quiet); font-size: 10px; line-height: 12px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.raxel-cell > :is(input, select) { width: 100%; }
.raxel-line .raxel-cell { width: 96px; }
.raxel-editor label.raxel-tick { display: inline-flex; gap: 5px; align-items: center; height: 22px; white-space: nowrap; }
.raxel-layer { display: grid; gap: 4px; align-items: end; margin-bottom: 4px; padding: 1px 3px; border-radius: 5px;
  grid-template-columns: minmax(70px, 1fr) repeat(4, minmax(0, 62px)) auto; }
.raxel-layer > .raxel-name { display: flex; gap: 5px; align-items: center; height: 22px; min-width: 0; cursor: pointer; }
.raxel-layer > .raxel-name span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.raxel-layer.raxel-chosen { background: color-mix(in srgb, var(--accent) 14%, transparent); }
.raxel-buttons { grid-column: -2; display: flex; gap: 2px; }
.raxel-editor button.raxel-small { min-width: 20px; width: 20px; height: 22px; padding: 0; }
.raxel-editor button.raxel-small svg { width: 12px; height: 12px; }
.raxel-graph { position: relative; height: 102px; margin-bottom: 4px; border: 1px solid var(--line); border-radius: 6px; background: var(--view); }
.raxel-graph canvas { cursor: ns-resize; }
.raxel-label, .raxel-quiet { color: var(--quiet); }
.raxel-quiet { margin: 4px 2px; white-space: normal; }
.raxel-fault { flex: none; color: var(--alarm); background: var(--alarm-field); border: 1px solid #a5503f; border-radius: 5px;
  padding: 4px 6px; max-height: 64px; overflow-y: auto; user-select: text; overflow-wrap: anywhere; }
.raxel-fault:empty { display: none; }
.raxel-fault.raxel-note { color: var(--quiet); background: none; border-color: var(--line); }
.raxel-json { display: flex; flex-direction: column; gap: 4px; flex: 1; min-height: 0; }
.raxel-json textarea { flex: 1; resize: none; padding: 6px; font: 11px/1.35 ui-monospace, monospace; user-select: text; white-space: pre; }
.raxel-overlay { position: fixed; inset: 0; z-index: 9990; padding: 8px; background: var(--comfy-menu-bg, #222); }
.raxel-large { font-size: 12px; gap: 6px; }
.raxel-large .raxel-live { display: grid; gap: 6px; grid-template: minmax(0, 1fr) 110px auto / minmax(0, 1fr) 392px; }
.raxel-large .raxel-views { grid-area: 1 / 1; }
.raxel-large .raxel-strip { grid-area: 2 / 1; height: auto; }
.raxel-large .raxel-time { grid-area: 3 / 1; }
.raxel-large .raxel-travel { color: #3d94f6; }
.raxel-turn { color: #ee7d2b; }
.raxel-side { grid-area: 1 / 2 / 4 / 3; }
.raxel-large .raxel-panel { flex: 1; height: auto; }
.raxel-large .raxel-graph { height: 220px; }
.raxel-large .raxel-presets { grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); gap: 4px; }
@container (max-height: 400px) { .raxel-editor:not(.raxel-large) .raxel-travel { color: #3d94f6; }
.raxel-turn { color: #ee7d2b; }
.raxel-side { display: none; } }
@container (max-height: 270px) { .raxel-editor:not(.raxel-large) .raxel-strip { display: none; } }
@container (max-width: 380px) { .raxel-editor .raxel-bar > .raxel-readout.raxel-space { visibility: hidden; } }
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
