"""Pictures of cameras and paths: the canvas, plots, overlays on video and meshes."""
