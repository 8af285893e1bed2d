// What a node's other widgets and links say about its clip and its picture. Pure: reads plain properties of the node.

const NUMBERS = { frames: "frameCount", width: "width", height: "height", fps: "fps" };
export const CLIP_WIDGETS = [...Object.keys(NUMBERS), "unit"];

/** The clip of a node: of its widgets, of the last run where one is fed by a link, and of `fallback` otherwise. */
export function clipOf(node, lastRun, fallback) {
  const clip = { ...fallback };
  for (const name of CLIP_WIDGETS) {
    const widget = node.widgets?.find((one) => one.name === name);
    const value = isLinked(node, name) && lastRun && name in lastRun ? lastRun[name] : widget?.value;
    const field = NUMBERS[name];
    if (!field && typeof value === "string" && value) clip.unit = value;
    if (field && Number.isFinite(Number(value)) && Number(value) > 0) clip[field] = Number(value);
  }
  return clip;
}

/** The widgets that a clip is written into, each with its value; those that are fed by a link are left alone. */
export function clipWidgetsOf(node, clip) {
  return CLIP_WIDGETS.flatMap((name) => {
    const value = clip[NUMBERS[name] ?? name];
    const widget = node.widgets?.find((one) => one.name === name);
    return widget && value !== undefined && !isLinked(node, name) ? [[widget, value]] : [];
  });
}

/**
 * The clip of the model that a path of this node goes to, as {name, clip}, or null: of the nodes behind it, the first
 * one fed by a node that loads a file which `clips` knows.
 */
export function modelOf(node, clips) {
  const [seen, rest] = [new Set(), [node]];
  while (rest.length) {
    const one = rest.shift();
    if (seen.has(one)) continue;
    seen.add(one);
    for (const origin of originsOf(one)) {
      const file = origin.widgets?.map(({ value }) => value).find((value) => typeof value === "string" && Object.hasOwn(clips, value));
      if (file) return { name: `${file}: ${clips[file].width} × ${clips[file].height}, ${clips[file].frameCount} at ${clips[file].fps}`, clip: clips[file] };
    }
    rest.push(...targetsOf(one));
  }
  return null;
}

function originsOf(node) {
  return (node.inputs ?? []).map((_, slot) => node.getInputNode?.(slot)).filter(Boolean);
}

function targetsOf(node) {
  return (node.outputs ?? []).flatMap((_, slot) => node.getOutputNodes?.(slot) ?? []);
}

/** The path as the widget stores it, with the clip of the node's widgets. */
export function withClip(value, clip) {
  if (value === null || typeof value !== "object" || !("plan" in value || "shots" in value)) return value;
  const { frameCount, fps, width, height, unit } = clip;
  return { ...value, fps, unit, width, height, frame_count: frameCount };
}

/** Whether something is linked to a node's input. */
export function isLinked(node, name) {
  return Boolean(node.inputs?.some((input) => input.name === name && input.link != null));
}

/** The node at the other end of the link into `name`, or null. */
export function originOf(node, name) {
  const slot = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return slot < 0 ? null : (node.getInputNode?.(slot) ?? null);
}

/** Where a node shows its first picture, as a path of ComfyUI's `/view`: of its outputs, or of the file it loads. */
export function viewPathOf(node, outputs) {
  const shown = outputs?.images?.[0];
  if (shown?.filename) return viewPath(shown);
  const file = node?.widgets?.find((widget) => widget.name === "image")?.value;
  if (typeof file !== "string" || !file) return null;
  const [, name, type] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(file);
  const cut = name.lastIndexOf("/");
  return viewPath({ filename: name.slice(cut + 1), subfolder: name.slice(0, Math.max(cut, 0)), type: type ?? "input" });
}

export function viewPath({ filename, subfolder = "", type = "temp" }) {
  return `/view?${new URLSearchParams({ filename, subfolder, type })}`;
}
