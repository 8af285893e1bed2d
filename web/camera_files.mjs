// Raxel Load Camera's button: the camera files that ComfyUI has, saved ones among them, and those of this computer.

const ROUTE = "/raxel/camera_files";
const LABEL = "choose or upload a file";
const FOLDER = "cameras";
// Nodes 2.0 tells a button no place: the menu opens where the pointer went down.
let pointed;
window.addEventListener("pointerdown", (event) => (pointed = event), true);

export function offerFiles({ api, node }) {
  const path = node.widgets?.find(({ name }) => name === "path");
  if (!path) return;
  const choose = (name) => {
    path.value = name;
    path.callback?.(name);
    node.setDirtyCanvas?.(true, true);
  };
  const fault = (error) => window.alert(`Raxel Load Camera: ${error.message}`);
  const button = node.addWidget("button", LABEL, null, () => offer({ api, choose }).catch(fault), { serialize: false });
  button.serialize = false;
}

async function offer({ api, choose }) {
  const answer = await api.fetchApi(ROUTE, { cache: "no-store" });
  if (!answer.ok) throw new Error(`the files could not be listed (${answer.status})`);
  const { files } = await answer.json();
  const upload = (folder) => () => pick(api, folder).then((name) => name && choose(name));
  const entries = [
    { content: "Upload a file ...", callback: upload(false) },
    { content: "Upload a folder (COLMAP) ...", callback: upload(true) },
    null,
    ...files.map((name) => ({ content: text(name), callback: () => choose(name) })),
  ];
  if (!files.length) entries.push({ content: "no camera files yet: Raxel Save Camera makes some", disabled: true });
  new /** @type {any} */ (window).LiteGraph.ContextMenu(entries, { event: pointed, scale: 1 });
}

// A name that stays text in a menu that takes HTML.
function text(name) {
  return name.replace(/[&<>"']/g, (letter) => `&#${letter.codePointAt(0)};`);
}

function pick(api, folder) {
  const input = document.createElement("input");
  input.type = "file";
  input.webkitdirectory = folder;
  return new Promise((resolve, reject) => {
    input.addEventListener("change", () => send(api, [...input.files], folder).then(resolve, reject));
    input.addEventListener("cancel", () => resolve(null));
    input.click();
  });
}

async function send(api, files, folder) {
  const place = (file) => {
    const parts = (file.webkitRelativePath || file.name).split("/").slice(0, -1);
    return [FOLDER, ...parts].join("/");
  };
  let sent;
  for (const file of files) {
    const body = new FormData();
    body.append("image", file);
    body.append("type", "input");
    body.append("subfolder", place(file));
    if (folder) body.append("overwrite", "true");
    const answer = await api.fetchApi("/upload/image", { method: "POST", body });
    if (!answer.ok) throw new Error(`${file.name} could not be uploaded (${answer.status})`);
    sent = await answer.json();
  }
  if (!sent) return null;
  return folder ? place(files[0]).split("/").slice(0, 2).join("/") : `${sent.subfolder}/${sent.name}`;
}
