"""Where a model runs: weights that stay off the device, and several processes."""
