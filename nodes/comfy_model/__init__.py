"""The joint model as ComfyUI's model: detection, loading, latents, VAE and the patched network."""
