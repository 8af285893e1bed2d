"""What stands between the nodes and ComfyUI's own objects: model, VAE, sampler, nested latents, conditioning."""
