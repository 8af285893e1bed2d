"""Nodes for the cameras of footage: solving them, and verifying a generated video."""
