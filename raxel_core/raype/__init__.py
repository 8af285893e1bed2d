"""RayPE, the relative ray position encoding on stock Wan: encoding, files, conversion and training."""
