// Workflows from before the builder had a path: its move and numbers, in the order of its old widgets, as a path. Pure.

import { MOVES } from "../camera_path.mjs";

const OLD_WIDGETS = [
  "move", "frames", "width", "height", "fov_degrees", "angle_degrees", "distance", "depth", "easing", "unit", "fps",
];
const KEPT = ["frames", "width", "height", "fps", "unit"];
const MIN_SIZE = [460, 760];

/** Brings every builder of a workflow, and of its subgraphs, up to date, in place. */
export function updateWorkflow(workflow) {
  for (const graph of [workflow, ...(workflow.definitions?.subgraphs ?? [])]) {
    for (const node of graph.nodes ?? []) if (isOld(node)) updateNode(node);
  }
}

function isOld({ type, widgets_values: values }) {
  return type === "CameraTrajectoryBuilder" && Array.isArray(values) && Object.hasOwn(MOVES, values[0]);
}

function updateNode(node) {
  const old = Object.fromEntries(OLD_WIDGETS.map((name, number) => [name, node.widgets_values[number]]));
  node.widgets_values = [pathOf(old), ...KEPT.map((name) => old[name])];
  node.inputs = (node.inputs ?? []).filter(({ name, link }) => link != null || !OLD_WIDGETS.includes(name) || KEPT.includes(name));
  node.size = MIN_SIZE.map((least, axis) => Math.max(least, node.size?.[axis] ?? 0));
}

function pathOf({ move, fov_degrees, angle_degrees, distance, depth, easing }) {
  const layer = { move, start: 0, end: 1, easing: easing ?? "smooth" };
  const { amountKey, angular } = MOVES[move];
  if (amountKey) layer[amountKey] = angular ? angle_degrees : distance;
  const plan = { fov_degrees, depth: depth ?? 1, moves: [layer] };
  return { format: "raxel.camera_path", version: 1, name: "", plan };
}
