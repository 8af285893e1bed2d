"""A still filmed again: depth maps and point splats."""
