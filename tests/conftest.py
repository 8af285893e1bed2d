"""Fixtures that more than one test file shares, and how the suite is shared between processes."""

from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # Two processes beside each other take one core each, and so do their children.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.in_comfy.comfy_process import NO_COMFYUI
from tests.in_comfy.comfy_server import ComfyServer, comfy_roots, interpreter_of
from tests.small_checkpoint import save_small_checkpoint


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What needs a ComfyUI, and what is run by hand alone, is slow too: `-m "not slow"` leaves it out.

    With several processes (`-n`) one of them has all that needs a ComfyUI, which it starts once; a file stays whole.
    """
    for item in items:
        needs_comfyui = "in_comfy" in item.path.parts or "comfy" in item.fixturenames
        if item.get_closest_marker("by_hand") or needs_comfyui:
            item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.xdist_group("comfy" if needs_comfyui else str(item.path)))


@pytest.fixture(scope="session", params=[str(root) for root in comfy_roots()] or [None])
def comfy_root(request):
    """The folder of a ComfyUI; each that is found has its turn."""
    if request.param is None:
        pytest.skip(NO_COMFYUI)
    return next(path for path in comfy_roots() if str(path) == request.param)


@pytest.fixture(scope="session")
def comfy(comfy_root, tmp_path_factory):
    """A running ComfyUI with this pack and the small checkpoint."""
    root = comfy_root
    python = interpreter_of(root)
    if python is None:
        pytest.skip(f"{root} has no Python of its own: set COMFYUI_PYTHON to the one that runs it")
    base = tmp_path_factory.mktemp("comfy")
    save_small_checkpoint(base / "models")
    server = ComfyServer.start(root, python, base)
    yield server
    server.stop()
