"""ComfyUI's Cancel button, asked for in the midst of work."""

from __future__ import annotations

import comfy.model_management


def stop_when_interrupted(done: int = 0, total: int = 0) -> None:
    """A progress callback that ends the work when the user has cancelled the run."""
    comfy.model_management.throw_exception_if_processing_interrupted()
