"""Words on a node in the browser."""

from __future__ import annotations

from comfy_api.latest import io, ui
from server import PromptServer

from ...raxel_core.strict_json import escaped

# ComfyUI's page passes over an empty text: the warning of the run before would stay on the node.
_NO_WARNING = "No warnings."


def show_on_node(node: type[io.ComfyNode], text: str) -> None:
    """Write `text`, of a node that only warns maybe empty, on the running node, which has asked for its `unique_id`;
    nothing where no browser looks on."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.send_progress_text(for_page(text or _NO_WARNING), node.hidden.unique_id, server.client_id)


def preview(text: str) -> ui.PreviewText:
    """`text` below the node, as ComfyUI's own text nodes show theirs."""
    return ui.PreviewText(for_page(text))


def for_page(text: str) -> str:
    """`text`, which may quote a file, with nothing in it that a page could take for a tag or a control character."""
    return escaped(text).translate({ord("<"): "\u2039", ord(">"): "\u203a"})
