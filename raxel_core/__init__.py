"""The core of Raxel: cameras, raxel images, latents, the joint model and its sampling; no ComfyUI import anywhere."""
