"""The list of camera files that the browser offers for Raxel Load Camera."""

from __future__ import annotations

from aiohttp import web
from server import PromptServer

from ...raxel_core.camera_io import FORMATS
from ..comfy_io.input_files import camera_files

ROUTE = "/raxel/camera_files"
# Files that are read besides those that are written, and what a folder holds that is read as a whole: COLMAP's models.
_READ = {".usdz", ".gltf"}
_WHOLE = ("images.txt", "images.bin")


def serve_camera_files() -> None:
    """Let the page ask for the files; nothing where no server runs."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get(ROUTE)(_answer)


async def _answer(request: web.Request) -> web.Response:
    """The names as JSON."""
    suffixes = {known.suffix for known in FORMATS if known.suffix} | _READ
    return web.json_response({"files": camera_files(suffixes, _WHOLE)})
