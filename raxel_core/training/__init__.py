"""Training: synthetic scenes, the objective of Rays as Pixels, and one loop on accelerate."""
