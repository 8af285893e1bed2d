// Elements without HTML: text goes in as text, whatever it says.

import { icon } from "./icons.mjs";
import { said } from "./words.mjs";

const SPOKEN = ["textContent", "title", "placeholder", "aria-label"];

/** An element with properties (`aria-`, `data-` and `role` as attributes, `on...` as listeners) and children. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$)/.test(name)) node.setAttribute(name, SPOKEN.includes(name) ? said(value) : value);
    else node[name] = SPOKEN.includes(name) ? said(value) : value;
  }
  node.append(...children.map((child) => (typeof child === "string" ? said(child) : child)));
  return node;
}

/** Properties and attributes of a node, written only where they differ. */
export function put(node, values) {
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("aria-")) {
      if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
    } else if (node[name] !== value) node[name] = value;
  }
}

/** A button of one icon whose name is spoken and shown as a tooltip. */
export function iconButton(name, label, onclick, properties = {}) {
  return element("button", { type: "button", title: label, "aria-label": label, onclick, ...properties }, icon(name));
}

/** A number's field. `read` gives its number (undefined: empty), `write` takes what is typed, `done` ends an edit. */
export function numberField({ label, read, write, done, step = 0.1, min = undefined, max = undefined, optional = false, ...properties }) {
  const type = () => {
    if (input.value === "" ? optional : Number.isFinite(input.valueAsNumber)) {
      write(input.value === "" ? undefined : input.valueAsNumber);
    }
  };
  const finish = () => {
    done();
    sync(true);
  };
  const bounds = { step, ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
  const input = element("input", {
    type: "number", title: label, "aria-label": label, oninput: type, onchange: finish, ...bounds, ...properties,
  });
  input.step = "any";
  input.addEventListener("keydown", (event) => stepValue(event, input, step, type));
  const sync = (always = false) => {
    if (!always && document.activeElement === input) return;
    const value = read();
    const title = value === undefined ? said(label) : `${said(label)}: ${value}`;
    put(input, { value: value === undefined ? "" : String(Math.round(value * 1e3) / 1e3), title });
  };
  return { input, sync };
}

/** Arrow keys change a number by one step, with Shift by ten; the browser's own steps are off, any number may stand. */
function stepValue(event, input, step, type) {
  const sign = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!sign) return;
  event.preventDefault();
  const value = (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : 0) + sign * step * (event.shiftKey ? 10 : 1);
  const [low, high] = [input.min === "" ? -Infinity : Number(input.min), input.max === "" ? Infinity : Number(input.max)];
  input.value = String(Math.round(Math.min(Math.max(value, low), high) * 1e6) / 1e6);
  type();
}

/** A field under its name. */
export function cell(name, { input }, className = "raxel-cell") {
  return element("label", { className }, element("span", { textContent: name }), input);
}

/** A choice among words. */
export function choiceField({ label, options, read, write, ...properties }) {
  const input = element("select", { title: label, "aria-label": label, onchange: () => write(input.value), ...properties });
  for (const option of options) input.append(element("option", { value: option, textContent: option.replaceAll("_", " ") }));
  return { input, sync: () => put(input, { value: read() }) };
}

/** A tick with words beside it. */
export function tickField({ label, title = label, read, write }) {
  const input = element("input", { type: "checkbox", onchange: () => write(input.checked) });
  const box = element("label", { title, className: "raxel-tick" }, input, label);
  return { input: box, sync: () => put(input, { checked: read() }) };
}
