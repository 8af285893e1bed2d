"""ComfyUI's images, files and notices."""
