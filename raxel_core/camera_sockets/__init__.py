"""Trajectories as the sockets of other ComfyUI packs carry them: one file per payload, conventions end here.

Each file writes its payload, reads it, or both; `recognition.read_camera` reads whichever it is given.
"""
