"""How good are recovered cameras and generated videos: figures as the literature defines them.

`pose_metrics` compares camera paths, `image_metrics` compares videos and sets of videos, `report` turns both into
JSON, text tables and pass or fail.
"""

from __future__ import annotations
