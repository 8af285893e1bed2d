"""RayPE on stock Wan."""
