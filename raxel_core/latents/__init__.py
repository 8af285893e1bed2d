"""The latent side of a video: frame arithmetic, channel statistics and the VAEs, each imported by its own name."""
