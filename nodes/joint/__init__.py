"""The joint model: one node file a step, from loading to the closed loop."""
