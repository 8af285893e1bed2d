"""The tables of the nodes' help pages, written from what ComfyUI says of the nodes.

    python -m tests.in_comfy.help_pages        rewrites web/docs/**/*.md with the ComfyUI that the tests find

A page is written by hand but for the tables under "## Inputs" and "## Outputs"; a test holds those to the schema.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.in_comfy.comfy_server import PACK, ComfyServer, comfy_roots, interpreter_of

PAGES = PACK / "web" / "docs"
# Types that have no socket a user could know by its name.
_WORDS = {"COMBO": "choice", "*": "any", "RAXEL_CAMERA_PATH": "camera path v1"}


@dataclass(frozen=True)
class Language:
    """How a language heads the tables of a page, and says what every row may say."""

    inputs: str
    outputs: str
    columns: str
    optional: str

    @property
    def head(self) -> str:
        return f"{self.columns}\n|---|---|---|\n"


LANGUAGES = {
    name: Language(**said)
    for name, said in json.loads(Path(__file__).with_name("help_words.json").read_text(encoding="utf-8")).items()
}


def input_rows(info: dict[str, Any], said: dict[str, Any], optional: str) -> list[str]:
    """A row for each input of a node as `/object_info` describes it, in the words of its locale where that has some."""
    rows = []
    for kind in ("required", "optional"):
        for name, (of, *options) in info["input"].get(kind, {}).items():
            given = options[0] if options else {}
            kind_of = "COMBO" if isinstance(of, list) else of
            words = [_words(kind_of), *([optional] if kind == "optional" else [])]
            meaning = said.get("inputs", {}).get(name, {}).get("tooltip") or given.get("tooltip", "")
            rows.append(_row(name, ", ".join(words), meaning))
    return rows


def output_rows(info: dict[str, Any], said: dict[str, Any]) -> list[str]:
    """A row for each output of a node."""
    meanings = info.get("output_tooltips") or [""] * len(info["output"])
    told = [said.get("outputs", {}).get(str(i), {}).get("tooltip") or words for i, words in enumerate(meanings)]
    kinds = [_words(kind) for kind in info["output"]]
    return [_row(*parts) for parts in zip(info["output_name"], kinds, told, strict=True)]


def with_tables(page: str, info: dict[str, Any], language: str = "en") -> str:
    """The page with its tables as the node's schema has them; a page without a section has no table of it."""
    names, said = LANGUAGES[language], locale_of(language).get(info["name"], {})
    rows = {names.inputs: input_rows(info, said, names.optional), names.outputs: output_rows(info, said)}
    table = re.compile(re.escape(names.head) + r"(?:\|.*\|\n?)+")
    for section, lines in rows.items():
        head, mark, tail = page.partition(f"{section}\n")
        if mark:
            page = head + mark + table.sub(lambda _, lines=lines: names.head + "".join(lines), tail, count=1)
    return page


@cache
def locale_of(language: str) -> dict[str, Any]:
    """What a language says of the nodes; English says it in the schema."""
    if language == "en":
        return {}
    path = PACK / "locales" / language / "nodeDefs.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def pages() -> list[tuple[Path, str, str]]:
    """Every page with its node and its language: <node>.md in English, <node>/<language>.md in another."""
    translated = [(path, path.parent.name, path.stem) for path in PAGES.glob("*/*.md")]
    return sorted([(path, path.stem, "en") for path in PAGES.glob("*.md")] + translated)


def _words(kind: str) -> str:
    return " or ".join(_WORDS.get(part, part) for part in kind.split(","))


def _row(name: str, kind: str, meaning: str) -> str:
    return f"| `{name}` | {kind} | {(meaning or '').replace('|', '/')} |\n"


def main() -> None:
    """Rewrite the tables of all pages."""
    root = comfy_roots()[0]
    with tempfile.TemporaryDirectory() as base:
        server = ComfyServer.start(root, interpreter_of(root), Path(base))
        try:
            nodes = server.get("/object_info")
        finally:
            server.stop()
    for path, node, language in pages():
        page = path.read_text(encoding="utf-8")
        path.write_text(with_tables(page, nodes[node], language), encoding="utf-8")


if __name__ == "__main__":
    main()
