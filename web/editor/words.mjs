// The editor's words in the page's language. Where a language has none, what the code says itself stands: English.

let words = {};
let learned;

/** Read the words of a language as ComfyUI names it, once: the page is loaded anew when it changes. */
export function learn(language) {
  const known = ["zh", "ja", "ko"].find((name) => language.startsWith(name)) ?? "en";
  learned ??= fetch(new URL(`./words/${known}.json`, import.meta.url)).then(async (answer) => (words = await answer.json()));
  return learned;
}

/** A text in that language; its numbers stand for themselves in a text whose words have # for each of them. */
export function said(text) {
  if (Object.hasOwn(words, text)) return words[text];
  const numbers = text.match(/\d+/g) ?? [];
  const found = words[text.replace(/\d+/g, "#")];
  return found === undefined ? text : found.replace(/#/g, () => numbers.shift());
}
