"""The tables of the nodes' help pages, written from what ComfyUI says of the nodes.

    python -m tests.in_comfy.help_pages        rewrites web/docs/*.md with the ComfyUI that the tests find

A page is written by hand but for the tables under "## Inputs" and "## Outputs"; a test holds those to the schema.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from tests.in_comfy.comfy_server import PACK, ComfyServer, comfy_roots, interpreter_of

PAGES = PACK / "web" / "docs"
_HEAD = "| name | type | meaning |\n|---|---|---|\n"
_TABLE = re.compile(r"\| name \| type \| meaning \|\n\|---\|---\|---\|\n(?:\|.*\|\n?)+")
# Types that have no socket a user could know by its name.
_WORDS = {"COMBO": "choice", "*": "any", "RAXEL_CAMERA_PATH": "camera path v1"}


def input_rows(info: dict[str, Any]) -> list[str]:
    """A row for each input of a node as `/object_info` describes it."""
    rows = []
    for kind in ("required", "optional"):
        for name, (of, *options) in info["input"].get(kind, {}).items():
            given = options[0] if options else {}
            kind_of = "COMBO" if isinstance(of, list) else of
            words = [_words(kind_of), *(["optional"] if kind == "optional" else [])]
            rows.append(_row(name, ", ".join(words), given.get("tooltip", "")))
    return rows


def output_rows(info: dict[str, Any]) -> list[str]:
    """A row for each output of a node."""
    meanings = info.get("output_tooltips") or [""] * len(info["output"])
    kinds = [_words(kind) for kind in info["output"]]
    return [_row(*parts) for parts in zip(info["output_name"], kinds, meanings, strict=True)]


def with_tables(page: str, info: dict[str, Any]) -> str:
    """The page with its tables as the node's schema has them; a page without a section has no table of it."""
    for section, rows in (("## Inputs", input_rows(info)), ("## Outputs", output_rows(info))):
        head, mark, tail = page.partition(f"{section}\n")
        if mark:
            page = head + mark + _TABLE.sub(lambda _, rows=rows: _HEAD + "".join(rows), tail, count=1)
    return page


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
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        path.write_text(with_tables(page, nodes[path.stem]), encoding="utf-8")


if __name__ == "__main__":
    main()
