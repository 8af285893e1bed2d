"""Cameras, rays and camera paths: each module is imported by its own name."""
