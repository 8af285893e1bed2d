"""The joint model in ComfyUI's samplers."""
