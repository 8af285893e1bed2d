// The panels beside or under the views: presets, layers, the selected key, the speed, and the path as a whole.

import { EASINGS, MOVES, amountOf, loopedPlan, openedPlan } from "../camera_path.mjs";
import { cell, choiceField, element, iconButton, numberField, tickField } from "./dom.mjs";
import { handlesOf, withKey, withKeyFacing, withKeyTime, withMove, withMoveShifted } from "./edits.mjs";
import { icon } from "./icons.mjs";
import { focalOfFov, fovOfFocal, SENSORS } from "./lens.mjs";
import { SpeedGraph } from "./speed_graph.mjs";
import { said } from "./words.mjs";

const CHANNELS = ["position", "rotation", "lens"];
// The file's y points down, as cameras have it; a field shows how far up.
const AXES = [["right", "To the right: x of the file"], ["up", "Up: minus y of the file", -1], ["forward", "Forward: z of the file"]];
const TURNS = [["pan °", "Degrees to the right"], ["tilt °", "Degrees up"], ["roll °", "Degrees clockwise"]];
const CLIP_CHOICE = "choose a size ...";
const wordsOf = (name) => name.replaceAll("_", " ");

/**
 * A panel: `build` returns its rows and the fields among them, for a `shape` of the state (which layers there are, which
 * key is selected); while the shape stays, a change of the state only brings the fields up to date.
 */
class Panel {
  editor; title; shape; build; built; fields; drawNow; dispose;
  constructor(editor, { title, shape, build }) {
    Object.assign(this, { editor, title, shape, build, fields: [] });
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

/** The panels of an editor, in the order of their tabs. */
export function panelsOf(editor) {
  const speed = new SpeedGraph(editor);
  const speedPanel = new Panel(editor, { title: () => "Speed", shape: () => 0, build: () => buildSpeed(speed) });
  return [
    new Panel(editor, { title: () => "Moves", shape: () => 0, build: buildPresets }),
    new Panel(editor, { title: layersTitle, shape: ({ plan, layer }) => [plan.moves.map(({ move }) => move), layer], build: buildLayers }),
    new Panel(editor, { title: keyTitle, shape: keyShape, build: buildKey }),
    Object.assign(speedPanel, { drawNow: () => speed.surface.invalidate(), dispose: () => speed.dispose() }),
    new Panel(editor, { title: () => "Path", shape: pathShape, build: buildPath }),
  ];
}

const line = (...children) => element("div", { className: "raxel-line" }, ...children);
const cells = (...children) => element("div", { className: "raxel-cells" }, ...children);
const quiet = (text) => element("p", { className: "raxel-quiet", textContent: text });
const wordButton = (textContent, title, onclick) => element("button", { type: "button", textContent, title, onclick });

/** The same field's edits, one after the other, are one step of undo. */
function numberOf(editor, gesture, edit, options) {
  const write = (value) => editor.edit(edit(value), gesture);
  return numberField({ ...options, write, done: () => editor.store.endGesture() });
}

function buildPresets(editor) {
  const buttons = Object.keys(MOVES).map((move) => {
    const choose = (event) => editor.choosePreset(move, event.shiftKey);
    const title = `${said(wordsOf(move))}: ${said(`move ${move}`)}. ${said("Shift: as a layer on top.")}`;
    const button = element("button", { type: "button", title, onclick: choose, "data-move": move }, icon(move));
    button.append(element("span", { textContent: wordsOf(move) }));
    return button;
  });
  return { rows: [element("div", { className: "raxel-presets" }, ...buttons)], fields: [] };
}

// ---- layers

const layersTitle = ({ plan }) => `Layers (${plan.moves.length})`;

function buildLayers(editor) {
  const layers = editor.plan.moves.map((layer, index) => buildLayer(editor, layer.move, index));
  const rows = layers.map(({ row }) => row);
  if (!rows.length) rows.push(quiet("no layers"));
  else {
    const title = "moves into keys";
    rows.push(line(wordButton("Turn moves into keys", title, () => editor.turnMovesIntoKeys())));
  }
  return { rows, fields: layers.flatMap(({ fields }) => fields) };
}

function buildLayer(editor, move, index) {
  const select = () => editor.selectLayer(index);
  const name = element("div", { className: "raxel-name", title: `move ${move}`, onclick: select }, icon(move));
  name.append(element("span", { textContent: wordsOf(move) }));
  const fields = layerFields(editor, move, index);
  const last = editor.plan.moves.length - 1;
  const shift = (step) => () => editor.edit(withMoveShifted(editor.plan, index, step));
  const small = { className: "raxel-small" };
  const of = (words) => `${said(words)}: ${said(wordsOf(move))}`;
  const buttons = element("div", { className: "raxel-buttons" },
    iconButton("up", of("Apply earlier"), shift(-1), { ...small, disabled: index === 0 }),
    iconButton("down", of("Apply later"), shift(1), { ...small, disabled: index === last }),
    iconButton("remove", of("Remove"), () => editor.removeLayer(index), small),
  );
  const row = element("div", { className: "raxel-layer" }, name, ...fields.map((field) => cell(field.name, field)), buttons);
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
    return [...fields, { ...number("seed", { label: "Seed of the shake: another one shakes otherwise", read, step: 1, min: 0 }), name: "seed" }];
  }
  const share = (name, label, fallback) =>
    number(name, { label, read: () => editor.plan.moves[index]?.[name] ?? fallback, step: 0.05, min: 0, max: 1 });
  const easing = choiceField({
    label: "How the move starts and stops",
    options: EASINGS,
    read: () => editor.plan.moves[index]?.easing ?? "linear",
    write: (value) => editor.edit(change("easing", value)),
  });
  const from = { ...share("start", "Begins at this share of the clip", 0), name: "from" };
  const to = { ...share("end", "Ends at this share of the clip", 1), name: "to" };
  return [...fields, from, to, { ...easing, name: "easing" }];
}

const AMOUNTS = {
  amount_degrees: { name: "degrees", step: 1, label: "How far, in degrees; negative goes the other way" },
  amount: { name: "length", step: 0.05, label: "How far, in the path's unit; negative goes the other way" },
  factor: { name: "times", step: 0.05, label: "How many times the focal length", min: 0.01 },
};

function amountField(editor, index, amountKey, number) {
  const { name, ...options } = AMOUNTS[amountKey];
  const read = () => (editor.plan.moves[index] ? amountOf(editor.plan.moves[index], editor.plan.depth) : undefined);
  return { ...number(amountKey, { ...options, read }), name };
}

// ---- the key

const keyTitle = ({ plan, key }) => (plan.keys[key] ? `Key ${key + 1} of ${plan.keys.length}` : `Keys (${plan.keys.length})`);

const keyShape = ({ plan, key }) => [key, plan.keys.length, plan.keys[key] && plan.keys[key].look_at !== undefined];

function buildKey(editor) {
  if (!editor.plan.keys[editor.key]) {
    const words = editor.plan.keys.length
      ? "no key selected"
      : "no keys";
    return { rows: [quiet(words)], fields: [] };
  }
  const groups = [keyPlace(editor), keyFacing(editor), keyCurve(editor), keyEasing(editor)];
  return { rows: groups.map(({ row }) => row), fields: groups.flatMap(({ fields }) => fields) };
}

/** The cells of three numbers: `read` and `edit` a list of three, each cell with its [word, label, sign]. */
function tripleCells(editor, gesture, names, step, { read, edit }) {
  return names.map(([word, label, sign = 1], axis) => {
    const field = numberOf(editor, `${gesture} ${axis}`, (value) => edit((read() ?? [0, 0, 0]).with(axis, sign * value + 0)), {
      label, step, read: () => sign * (read()?.[axis] ?? 0) + 0,
    });
    return { field, cell: cell(word, field) };
  });
}

/** The cells of a key's list of three. */
function keyCells(editor, name, names, step) {
  const { key } = editor;
  return tripleCells(editor, `${name} of key ${key}`, names, step, {
    read: () => editor.plan.keys[key]?.[name], edit: (value) => withKey(editor.plan, key, { [name]: value }),
  });
}

function rowOf(list) {
  return { row: cells(...list.map((entry) => entry.cell)), fields: list.map((entry) => entry.field) };
}

function keyPlace(editor) {
  const { key } = editor;
  const time = numberOf(editor, `time of key ${key}`, (value) => withKeyTime(editor.plan, key, value), {
    label: "Share of the path at which the key stands", step: 0.01, min: 0, max: 1, read: () => editor.plan.keys[key]?.time,
  });
  return rowOf([...keyCells(editor, "position", AXES, 0.05), { field: time, cell: cell("time", time) }]);
}

function keyFacing(editor) {
  const { key } = editor;
  const facing = choiceField({
    label: "How the key's direction is given",
    options: ["angles", "look at"],
    read: () => (editor.plan.keys[key]?.look_at ? "look at" : "angles"),
    write: (value) => editor.edit(withKeyFacing(editor.plan, key, value === "look at")),
  });
  const choice = { field: facing, cell: cell("faces by", facing) };
  const looks = editor.plan.keys[key].look_at !== undefined;
  const numbers = looks ? keyCells(editor, "look_at", AXES, 0.05) : keyCells(editor, "rotation_degrees", TURNS, 1);
  return rowOf([...numbers, choice]);
}

/** Roll where the key looks at a point, the lens, and how the path bends through the key. */
function keyCurve(editor) {
  const { key } = editor;
  const of = (name, options) =>
    numberOf(editor, `${name} of key ${key}`, (value) => withKey(editor.plan, key, { [name]: value }), { ...options, read: () => editor.plan.keys[key]?.[name] });
  const fov = of("fov_degrees", {
    label: "view of a key", step: 1, min: 1, max: 179, optional: true, placeholder: "as is",
  });
  const curve = choiceField({
    label: "bends",
    options: ["automatic", "handles", "corner"],
    read: () => curveOf(editor.plan.keys[key]),
    write: (value) => editor.edit(withCurve(editor.plan, key, value)),
  });
  const mm = mmField(editor, () => editor.plan.keys[key]?.fov_degrees, (value) => withKey(editor.plan, key, { fov_degrees: value }));
  const list = [{ field: fov, cell: cell("view °", fov) }, { field: mm, cell: cell("lens mm", mm) }, { field: curve, cell: cell("curve", curve) }];
  if (editor.plan.keys[key].look_at === undefined) return rowOf(list);
  const roll = of("roll_degrees", { label: "Roll, degrees clockwise", step: 1 });
  return rowOf([{ field: roll, cell: cell("roll °", roll) }, ...list]);
}

function curveOf(key) {
  const sides = [key?.handle_in, key?.handle_out].filter(Boolean);
  if (!sides.length) return "automatic";
  return sides.every((side) => side.every((value) => value === 0)) ? "corner" : "handles";
}

function withCurve(plan, key, kind) {
  if (kind === "automatic") return withKey(plan, key, { handle_in: undefined, handle_out: undefined });
  const zero = [0, 0, 0];
  if (kind === "corner") return withKey(plan, key, { handle_in: zero, handle_out: zero });
  const [into, out] = handlesOf(withKey(plan, key, { handle_in: undefined, handle_out: undefined }), key);
  return withKey(plan, key, { handle_in: into ?? undefined, handle_out: out ?? undefined });
}

function keyEasing(editor) {
  const { key } = editor;
  return rowOf(CHANNELS.map((channel) => {
    const write = (value) => {
      editor.edit(withKey(editor.plan, key, { easing: { ...editor.plan.keys[key].easing, [channel]: value } }));
    };
    const read = () => editor.plan.keys[key]?.easing[channel];
    const title = `How the ${channel} goes from this key to the next`;
    const field = choiceField({ label: title, options: EASINGS, read, write });
    return { field, cell: cell(channel, field) };
  }));
}

/** A lens in millimetres, for the sensor that is chosen. */
function mmField(editor, fov, edit) {
  return numberOf(editor, "the lens", (mm) => edit(fovOfFocal(Math.max(mm, 0.01), SENSORS[editor.sensor])), {
    label: "Focal length in millimetres on the sensor chosen under Path", step: 1, min: 0.1,
    read: () => (fov() === undefined ? undefined : focalOfFov(fov(), SENSORS[editor.sensor])),
  });
}

// ---- speed

function buildSpeed(graph) {
  const row = line(cell("speed of the point", graph.speed), ...graph.shapes);
  return { rows: [graph.root, row], fields: [graph] };
}

// ---- the path

const pathShape = ({ plan, firsts, shot, host }) => [plan.look_at === null, firsts.length, shot, host.presets().map(({ name }) => name), host.cloud()?.nearDepth];

function buildPath(editor) {
  const groups = [pathLens(editor), pathSubject(editor), pathLock(editor), pathShots(editor), pathClip(editor)];
  return { rows: groups.flatMap(({ row }) => row), fields: groups.flatMap(({ fields }) => fields) };
}

function planNumber(editor, name, options) {
  return numberOf(editor, name, (value) => ({ ...editor.plan, [name]: value }), { ...options, read: () => editor.plan[name] });
}

function pathLens(editor) {
  const fov = planNumber(editor, "fov_degrees", { label: "view of a path", step: 1, min: 1, max: 179 });
  const mm = mmField(editor, () => editor.plan.fov_degrees, (value) => ({ ...editor.plan, fov_degrees: value }));
  const sensor = choiceField({
    label: "What millimetres are told for: the width of the sensor or film", options: Object.keys(SENSORS),
    read: () => editor.sensor, write: (value) => editor.chooseSensor(value),
  });
  return rowOf([{ field: fov, cell: cell("view °", fov) }, { field: mm, cell: cell("lens mm", mm) }, { field: sensor, cell: cell("sensor", sensor) }]);
}

function pathSubject(editor) {
  const depth = planNumber(editor, "depth", { label: "depth of the subject", step: 0.05, min: 0.001 });
  const loop = tickField({
    label: "loop", title: "The last camera equals the first; keys make room for the way back",
    read: () => editor.plan.loop, write: (on) => editor.edit(on ? loopedPlan(editor.plan) : openedPlan(editor.plan)),
  });
  const made = rowOf([{ field: depth, cell: cell("subject depth", depth) }]);
  const cloud = editor.host.cloud();
  if (cloud) {
    const from = wordButton("from the picture", "The depth in the middle of the picture", () => editor.takeDepth());
    const text = `near depth ${cloud.nearDepth.toFixed(2)}`;
    made.row.append(from, element("span", { className: "raxel-label", textContent: text, title: "Depth of the near part of the picture in its own unit: 1 in near_depth" }));
  }
  made.row.append(loop.input);
  return { row: made.row, fields: [...made.fields, loop] };
}

function pathLock(editor) {
  const lock = tickField({
    label: "always face", title: "look-at lock",
    read: () => editor.plan.look_at !== null,
    write: (on) => editor.edit({ ...editor.plan, look_at: on ? [...editor.scene?.subject ?? [0, 0, editor.plan.depth]] : null }),
  });
  if (editor.plan.look_at === null) return { row: line(lock.input), fields: [lock] };
  const made = rowOf(tripleCells(editor, "the lock", AXES, 0.05, {
    read: () => editor.plan.look_at, edit: (value) => ({ ...editor.plan, look_at: value }),
  }));
  made.row.append(lock.input);
  return { row: made.row, fields: [lock, ...made.fields] };
}

function pathShots(editor) {
  const { firsts, shot } = editor;
  const words = firsts.length > 2 ? `Shot ${shot + 1}: frames ${firsts[shot] + 1} to ${firsts[shot + 1]}` : "One shot";
  const cut = wordButton("Cut here", "A new shot begins at the playhead, from where the camera stands (C)", () => editor.cut());
  const row = line(element("span", { className: "raxel-label", textContent: words }), cut);
  if (firsts.length > 2) row.append(wordButton("Remove this shot", "Its time goes to the shot before it", () => editor.removeShot()));
  return { row, fields: [] };
}

function pathClip(editor) {
  const presets = editor.host.presets();
  const size = choiceField({
    label: "Frames, size and rate of a model's clips", options: [CLIP_CHOICE, ...presets.map(({ name }) => name)],
    read: () => CLIP_CHOICE, write: (name) => editor.host.setClip(presets.find((preset) => preset.name === name)?.clip),
  });
  const name = nameField(editor);
  return { row: cells(cell("clip for", size, "raxel-cell raxel-wide"), cell("name", name, "raxel-cell raxel-wide")), fields: [size, name] };
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
