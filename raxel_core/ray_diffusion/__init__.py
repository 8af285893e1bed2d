"""Cameras of a few photographs as bundles of rays: Ray Diffusion and Ray Regression (arXiv 2402.14817)."""
