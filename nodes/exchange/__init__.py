"""Cameras and pictures from and for other programs and packs: files, sockets, warps."""
