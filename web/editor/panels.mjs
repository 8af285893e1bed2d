// The panels under the view: presets, layers, the selected key, and the path as a whole.

import { EASINGS, MOVES, amountOf } from "../camera_path.mjs";
import { choiceField, element, iconButton, numberField, tickField } from "./dom.mjs";
import { withKey, withKeyFacing, withKeyTime, withMove, withMoveShifted, withMovesAsKeys } from "./edits.mjs";
import { icon } from "./icons.mjs";

const KEYS_OF_MOVES = 5;
const CHANNELS = ["position", "rotation", "lens"];
const AXIS_LABELS = ["right (x)", "down (y)", "forward (z)"];
const wordsOf = (name) => name.replaceAll("_", " ");

/**
 * A panel: `build` returns its rows and the fields among them, for a `shape` of the state (which layers there are, which
 * key is selected); while the shape stays, a change of the state only brings the fields up to date.
 */
class Panel {
  constructor(editor, { title, shape, build }) {
    Object.assign(this, { editor, title, shape, build, built: undefined, fields: [] });
    this.root = element("div", { className: "raxel-panel", role: "tabpanel", hidden: true });
  }

  sync() {
    const shape = JSON.stringify(this.shape(this.editor));
    if (shape !== this.built) {
      const { rows, fields } = this.build(this.editor);
      this.root.replaceChildren(...rows);
      [this.built, this.fields] = [shape, fields];
    }
    for (const field of this.fields) field.sync();
  }
}

/** The four panels of an editor. */
export function panelsOf(editor) {
  return [
    new Panel(editor, { title: () => "Moves", shape: () => 0, build: buildPresets }),
    new Panel(editor, { title: layersTitle, shape: ({ plan, layer }) => [plan.moves.map(({ move }) => move), layer], build: buildLayers }),
    new Panel(editor, { title: keyTitle, shape: keyShape, build: buildKey }),
    new Panel(editor, { title: () => "Path", shape: ({ plan }) => [plan.look_at === null], build: buildPath }),
  ];
}

const line = (...children) => element("div", { className: "raxel-line" }, ...children);
const first = (text) => element("span", { className: "raxel-first", textContent: text });
const labelOf = (text) => (text === undefined ? [] : [element("span", { className: "raxel-label", textContent: text })]);
const quiet = (text) => element("p", { className: "raxel-quiet", textContent: text });

/** The same field's edits, one after the other, are one step of undo. */
function numberOf(editor, gesture, edit, options) {
  const write = (value) => editor.edit(edit(value), gesture);
  return numberField({ ...options, write, done: () => editor.store.endGesture() });
}

function buildPresets(editor) {
  const buttons = Object.entries(MOVES).map(([move, { meaning }]) => {
    const choose = (event) => editor.choosePreset(move, event.shiftKey);
    const title = `${wordsOf(move)}: ${meaning}. Shift: as a layer on top.`;
    const button = element("button", { type: "button", title, onclick: choose, "data-move": move }, icon(move));
    button.append(element("span", { textContent: wordsOf(move) }));
    return button;
  });
  return { rows: [element("div", { className: "raxel-presets" }, ...buttons)], fields: [] };
}

const layersTitle = ({ plan }) => `Layers (${plan.moves.length})`;

function buildLayers(editor) {
  const layers = editor.plan.moves.map((layer, index) => buildLayer(editor, layer.move, index));
  const convert = () => {
    editor.edit(withMovesAsKeys(editor.plan, editor.clip, KEYS_OF_MOVES));
    editor.selectKey(0);
  };
  const rows = layers.map(({ row }) => row);
  if (!rows.length) rows.push(quiet("No layers: pick one under Moves, or set keys along the path."));
  else {
    const title = "Replace all moves but handheld by five keys that can be dragged";
    rows.push(line(element("button", { type: "button", title, textContent: "Turn moves into keys", onclick: convert })));
  }
  return { rows, fields: layers.flatMap(({ fields }) => fields) };
}

function buildLayer(editor, move, index) {
  const { meaning } = MOVES[move];
  const select = () => editor.selectLayer(index);
  const name = element("div", { className: "raxel-name", title: meaning, onclick: select }, icon(move));
  name.append(element("span", { textContent: wordsOf(move) }));
  if (!MOVES[move].amountKey) name.style.gridColumn = "span 3";
  const fields = layerFields(editor, move, index);
  const last = editor.plan.moves.length - 1;
  const shift = (step) => () => editor.edit(withMoveShifted(editor.plan, index, step));
  const small = { className: "raxel-small" };
  const buttons = [
    iconButton("up", `Apply ${wordsOf(move)} earlier`, shift(-1), { ...small, disabled: index === 0 }),
    iconButton("down", `Apply ${wordsOf(move)} later`, shift(1), { ...small, disabled: index === last }),
    iconButton("remove", `Remove ${wordsOf(move)}`, () => editor.removeLayer(index), small),
  ];
  const cells = fields.flatMap(({ before, input, after }) => [...labelOf(before), input, ...labelOf(after)]);
  const row = line(name, ...cells, ...buttons);
  row.classList.add("raxel-layer");
  row.classList.toggle("raxel-chosen", index === editor.layer);
  return { row, fields };
}

function layerFields(editor, move, index) {
  const { amountKey } = MOVES[move];
  const change = (name, value) => withMove(editor.plan, index, { [name]: value });
  const number = (name, options) => numberOf(editor, `${name} of layer ${index}`, (value) => change(name, value), options);
  const fields = amountKey ? [amountField(editor, index, amountKey, number)] : [];
  if (move === "handheld") {
    const read = () => editor.plan.moves[index]?.seed ?? 0;
    const seed = number("seed", { label: "Seed of the shake: another one shakes otherwise", read, step: 1, min: 0 });
    seed.input.style.gridColumn = "span 4";
    return [...fields, { ...seed, before: "seed" }];
  }
  const share = (name, label, fallback) =>
    number(name, { label, read: () => editor.plan.moves[index]?.[name] ?? fallback, step: 0.05, min: 0, max: 1 });
  const easing = choiceField({
    label: "How the move starts and stops",
    options: EASINGS,
    read: () => editor.plan.moves[index]?.easing ?? "linear",
    write: (value) => editor.edit(change("easing", value)),
  });
  const start = { ...share("start", "Begins at this share of the clip", 0), before: "from" };
  return [...fields, start, { ...share("end", "Ends at this share of the clip", 1), before: "to" }, easing];
}

const AMOUNTS = {
  amount_degrees: { unit: "°", step: 1, label: "How far, in degrees; negative goes the other way" },
  amount: { unit: "", step: 0.05, label: "How far, in the path's unit; negative goes the other way" },
  factor: { unit: "×", step: 0.05, label: "How many times the focal length", min: 0.01 },
};

function amountField(editor, index, amountKey, number) {
  const { unit, ...options } = AMOUNTS[amountKey];
  const read = () => (editor.plan.moves[index] ? amountOf(editor.plan.moves[index], editor.plan.depth) : undefined);
  const field = number(amountKey, { ...options, read });
  return { ...field, after: unit };
}

const keyTitle = ({ plan, key }) => (plan.keys[key] ? `Key ${key + 1} of ${plan.keys.length}` : `Keys (${plan.keys.length})`);

const keyShape = ({ plan, key }) => [key, plan.keys.length, plan.keys[key] && plan.keys[key].look_at !== undefined];

function buildKey(editor) {
  if (!editor.plan.keys[editor.key]) {
    const words = editor.plan.keys.length
      ? "No key is selected: click one in the view or on the time line."
      : "No keys: the moves alone make the path. Add one at the playhead with the diamond button, or press K.";
    return { rows: [quiet(words)], fields: [] };
  }
  const groups = [keyPlaceRow(editor), keyFacingRow(editor), keyLensRow(editor), keyEasingRow(editor)];
  return { rows: groups.map(({ row }) => row), fields: groups.flatMap(({ fields }) => fields) };
}

/** A field of one number of a key's list of three. */
function keyListField(editor, name, axis, options) {
  const { key } = editor;
  const list = () => editor.plan.keys[key]?.[name] ?? [0, 0, 0];
  const read = () => list()[axis];
  const edit = (value) => withKey(editor.plan, key, { [name]: list().with(axis, value) });
  return numberOf(editor, `${name} ${axis} of key ${key}`, edit, { ...options, read });
}

function keyPlaceRow(editor) {
  const { key } = editor;
  const fields = AXIS_LABELS.map((label, axis) => {
    return keyListField(editor, "position", axis, { label: `Position ${label}`, step: 0.05 });
  });
  const time = numberOf(editor, `time of key ${key}`, (value) => withKeyTime(editor.plan, key, value), {
    label: "Share of the clip at which the key stands", step: 0.01, min: 0, max: 1, read: () => editor.plan.keys[key]?.time,
  });
  const last = element("label", {}, "time", time.input);
  return { row: line(first("position"), ...fields.map(({ input }) => input), last), fields: [...fields, time] };
}

function keyFacingRow(editor) {
  const { key } = editor;
  const facing = choiceField({
    label: "How the key's direction is given",
    options: ["angles", "look at"],
    className: "raxel-first",
    read: () => (editor.plan.keys[key]?.look_at ? "look at" : "angles"),
    write: (value) => editor.edit(withKeyFacing(editor.plan, key, value === "look at", editor.baseMotionOfKey(key))),
  });
  const looks = editor.plan.keys[key].look_at !== undefined;
  const labels = looks ? AXIS_LABELS.map((axis) => `Looks at ${axis}`) : ["Pan, degrees right", "Tilt, degrees up", "Roll, degrees clockwise"];
  const fields = labels.map((label, axis) => {
    return keyListField(editor, looks ? "look_at" : "rotation_degrees", axis, { label, step: looks ? 0.05 : 1 });
  });
  const row = line(facing.input, ...fields.map(({ input }) => input));
  if (!looks) return { row, fields: [facing, ...fields] };
  const roll = numberOf(editor, `roll of key ${key}`, (value) => withKey(editor.plan, key, { roll_degrees: value }), {
    label: "Roll, degrees clockwise", step: 1, read: () => editor.plan.keys[key]?.roll_degrees ?? 0,
  });
  row.append(element("label", {}, "roll°", roll.input));
  return { row, fields: [facing, ...fields, roll] };
}

function keyLensRow(editor) {
  const { key } = editor;
  const fov = numberOf(editor, `fov of key ${key}`, (value) => withKey(editor.plan, key, { fov_degrees: value }), {
    label: "Horizontal angle of view in degrees; empty: the key leaves the lens alone",
    step: 1, min: 1, max: 179, optional: true, placeholder: "as is", read: () => editor.plan.keys[key]?.fov_degrees,
  });
  const words = element("span", { className: "raxel-label", textContent: "degrees; empty leaves the lens alone" });
  return { row: line(first("field of view"), fov.input, words), fields: [fov] };
}

function keyEasingRow(editor) {
  const { key } = editor;
  const fields = CHANNELS.map((channel) => {
    const write = (value) => {
      editor.edit(withKey(editor.plan, key, { easing: { ...editor.plan.keys[key].easing, [channel]: value } }));
    };
    const read = () => editor.plan.keys[key]?.easing[channel];
    const title = `How the ${channel} goes from this key to the next`;
    return { ...choiceField({ label: title, options: EASINGS, read, write }), channel };
  });
  const labels = fields.map(({ input, channel }) => element("label", {}, channel, input));
  return { row: line(...labels), fields };
}

function buildPath(editor) {
  const lens = planNumbers(editor);
  const lock = lookAtRow(editor);
  const name = nameField(editor);
  const rows = [
    line(element("label", {}, "field of view °", lens[0].input), element("label", {}, "subject depth", lens[1].input), lens[2].input),
    lock.row,
    line(first("name"), name.input),
  ];
  return { rows, fields: [...lens, ...lock.fields, name] };
}

function planNumbers(editor) {
  const number = (name, options) => {
    const edit = (value) => ({ ...editor.plan, [name]: value });
    return numberOf(editor, name, edit, { ...options, read: () => editor.plan[name] });
  };
  return [
    number("fov_degrees", { label: "Horizontal angle of view in degrees: 40 is a long lens, 60 normal, 90 wide", step: 1, min: 1, max: 179 }),
    number("depth", { label: "Distance of the subject, in the path's unit: what orbit, arc and others turn about", step: 0.05, min: 0.001 }),
    tickField({
      label: "loop", title: "The last camera equals the first",
      read: () => editor.plan.loop, write: (loop) => editor.edit({ ...editor.plan, loop }),
    }),
  ];
}

function lookAtRow(editor) {
  const subject = () => [0, 0, editor.plan.depth];
  const lock = tickField({
    label: "always face", title: "Look-at lock: every camera faces this point",
    read: () => editor.plan.look_at !== null,
    write: (on) => editor.edit({ ...editor.plan, look_at: on ? subject() : null }),
  });
  if (editor.plan.look_at === null) return { row: line(lock.input), fields: [lock] };
  const fields = AXIS_LABELS.map((axis, number) => {
    const edit = (value) => ({ ...editor.plan, look_at: editor.plan.look_at.with(number, value) });
    return numberOf(editor, `look at ${number}`, edit, { label: `Faces ${axis}`, step: 0.05, read: () => editor.plan.look_at?.[number] });
  });
  return { row: line(lock.input, ...fields.map(({ input }) => input)), fields: [lock, ...fields] };
}

function nameField(editor) {
  const input = element("input", {
    type: "text", title: "The path's name", "aria-label": "The path's name", maxLength: 200, placeholder: "unnamed",
    oninput: () => editor.store.replace({ ...editor.path, name: input.value }, "name"),
    onchange: () => editor.store.endGesture(),
  });
  const sync = () => {
    if (document.activeElement !== input) input.value = editor.path.name;
  };
  return { input, sync };
}

