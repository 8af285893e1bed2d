"""Cameras of a few photographs by Ray Diffusion."""
