"""Footage, a video file or a series of pictures: read by time, its cameras found window by window, and judged."""
