"""Cameras and rays: `se3`, `camera`, `rays`, `trajectory`, `moves`, `align`, `pose`, each imported by its own name."""
