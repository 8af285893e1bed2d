const ID = "raxel-editor-style";

/** Puts the style sheet into the page, once. */
export function addStyle() {
  if (document.getElementById(ID)) return;
  const link = document.createElement("link");
  Object.assign(link, { id: ID, rel: "stylesheet", href: new URL("./style.css", import.meta.url).href });
  document.head.append(link);
}
