"""Words on a node in the browser."""

from __future__ import annotations

from comfy_api.latest import io, ui
from server import PromptServer

from ...raxel_core.strict_json import escaped


def show_on_node(node: type[io.ComfyNode], text: str) -> None:
    """Write `text` on the running node, which has asked for its `unique_id`; nothing where no browser looks on."""
    server = getattr(PromptServer, "instance", None)
    if server is not None and text:
        server.send_progress_text(for_page(text), node.hidden.unique_id, server.client_id)


def preview(text: str) -> ui.PreviewText:
    """`text` below the node, as ComfyUI's own text nodes show theirs."""
    return ui.PreviewText(for_page(text))


def for_page(text: str) -> str:
    """`text`, which may quote a file, with nothing in it that a page could take for a tag or a control character."""
    return escaped(text).translate({ord("<"): "\u2039", ord(">"): "\u203a"})
