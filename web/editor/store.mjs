// The editor's state: one value (a planned path, or what was found in its place), and its past and future. Pure.

import { defaultPath, validatePath } from "../camera_path.mjs";

const MOST_STEPS = 200;

/**
 * What a widget's stored value is: {path, fault, text}. `path` is a valid document or null; where it is null, `fault`
 * says why, and `text` keeps what was found, so that nothing is lost.
 */
export function readValue(value) {
  if (value === null || value === undefined || value === "") return { path: defaultPath(), fault: "", text: null };
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
  try {
    const parsed = typeof value === "string" ? JSON.parse(value) : value;
    return { path: validatePath(completed(parsed)), fault: "", text: null };
  } catch (error) {
    const fault = error instanceof SyntaxError ? `it is not JSON: ${error.message}` : error.message;
    return { path: null, fault, text };
  }
}

/** A document of which everything but its plans may be missing, as one with everything, as the node reads it. */
function completed(value) {
  const lacks = value !== null && typeof value === "object" && !Array.isArray(value) && ("plan" in value || "shots" in value);
  if (!lacks) return value;
  const { plan: _none, ...rest } = defaultPath();
  return { ...rest, ...value };
}

/** What a widget stores for such a state: a plain object, or the text that was found. */
export function writeValue(state) {
  return state.path ?? state.text;
}

/** The state with undo. Edits with one and the same `gesture`, such as the steps of a drag, are undone at once. */
export class Store {
  #past = [];
  #future = [];
  #gesture = null;
  #listeners = new Set();

  constructor(value) {
    this.state = readValue(value);
    this.notice = "";
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  load(value) {
    [this.#past, this.#future, this.#gesture] = [[], [], null];
    this.#become(readValue(value));
  }

  /** Replace the path; one that makes no sense is refused, and `notice` says in one sentence why. */
  edit(value, gesture = null) {
    const state = readValue(value);
    if (state.path) {
      this.#advance(state, gesture);
      return;
    }
    this.notice = `Not changed: ${state.fault}`;
    this.#become(this.state);
  }

  /** Replace everything, whatever it is. */
  replace(value, gesture = null) {
    this.#advance(readValue(value), gesture);
  }

  #advance(state, gesture) {
    if (gesture === null || gesture !== this.#gesture) {
      this.#past = [...this.#past.slice(1 - MOST_STEPS), this.state];
      this.#future = [];
    }
    this.#gesture = gesture;
    this.notice = "";
    this.#become(state);
  }

  /** The end of a drag or of typing: the next edit is a step of its own. */
  endGesture() {
    if (this.#gesture === null) return;
    this.#gesture = null;
    this.#become(this.state);
  }

  /** Whether a drag or typing goes on. */
  get inGesture() {
    return this.#gesture !== null;
  }

  undo() {
    this.#travel(this.#past, this.#future);
  }

  redo() {
    this.#travel(this.#future, this.#past);
  }

  #travel(from, to) {
    if (!from.length) return;
    to.push(this.state);
    this.#gesture = null;
    this.#become(from.pop());
  }

  #become(state) {
    this.state = state;
    for (const listener of this.#listeners) listener();
  }
}
