// The keys of the keyboard, while the focus is inside the editor.

const TYPED_INTO = 'input:not([type="range"]):not([type="checkbox"]), textarea';

/** Does what a key stands for, and keeps it from ComfyUI, in which Delete would remove the node. */
export function keydown(editor, event) {
  const command = event.ctrlKey || event.metaKey;
  if (event.target.closest(TYPED_INTO) || (event.target.closest("select") && !command)) {
    if (!command) event.stopPropagation();
    return;
  }
  const action = command ? historyAction(editor, event) : plainAction(editor, event);
  if (!action) return;
  event.preventDefault();
  event.stopPropagation();
  action();
}

function historyAction(editor, event) {
  const key = event.key.toLowerCase();
  const redo = (key === "z" && event.shiftKey) || key === "y";
  if (event.altKey || (key !== "z" && key !== "y")) return undefined;
  // ComfyUI's own undo listens on the window before us and reads the event a frame later: under another name the key
  // is not undone twice, once here and once in the whole graph.
  Object.defineProperty(event, "key", { value: "Undo" });
  return redo ? () => editor.redo() : () => editor.undo();
}

function plainAction(editor, event) {
  const { key, target } = event;
  if (event.altKey) return undefined;
  if (target.closest('[role="tablist"]')) return tabAction(editor, key);
  const onControl = target.closest("button") || target.matches('[type="checkbox"]');
  if (onControl && (key === " " || key === "Enter")) return undefined;
  const step = event.shiftKey ? 10 : 1;
  const actions = {
    " ": () => editor.togglePlay(),
    ArrowLeft: () => editor.seek(editor.frame - step),
    ArrowRight: () => editor.seek(editor.frame + step),
    ArrowUp: () => selectNextKey(editor, -1),
    ArrowDown: () => selectNextKey(editor, 1),
    Home: () => editor.seek(0),
    End: () => editor.seek(Infinity),
    Delete: () => editor.removeKey(),
    Backspace: () => editor.removeKey(),
    Escape: () => (editor.tool === "draw" ? editor.toggleDraw() : editor.key < 0 && editor.enlarged ? editor.toggleEnlarged() : editor.selectKey(-1)),
    k: () => editor.addKey(),
    d: () => editor.toggleDraw(),
    c: () => editor.cut(),
    f: () => editor.frameAll(),
    v: () => editor.toggleLens(),
    l: () => editor.toggleLock(),
    e: () => editor.toggleEnlarged(),
  };
  return actions[key];
}

function selectNextKey(editor, step) {
  const count = editor.plan.keys.length;
  if (count) editor.selectKey((Math.max(editor.key, step > 0 ? -1 : 0) + step + count) % count);
}

function tabAction(editor, key) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!step) return undefined;
  return () => {
    const count = editor.tabs.length;
    editor.openTab((editor.tab + step + count) % count);
    editor.tabs[editor.tab].focus();
  };
}
