"""Words on a node in the browser."""

from __future__ import annotations

from comfy_api.latest import io
from server import PromptServer


def show_on_node(node: type[io.ComfyNode], text: str) -> None:
    """Write `text` on the running node, which has asked for its `unique_id`; nothing where no browser looks on."""
    server = getattr(PromptServer, "instance", None)
    if server is not None and text:
        server.send_progress_text(text, node.hidden.unique_id, server.client_id)
