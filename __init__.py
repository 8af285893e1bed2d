"""Raxel for ComfyUI: joint video-and-camera diffusion. The nodes are listed in `nodes/__init__.py`."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():  # noqa: ANN201 (the type is ComfyUI's, which is imported no earlier than this)
    """The extension ComfyUI asks for; nothing of the pack is imported before."""
    from .nodes import raxel_extension

    return raxel_extension()
