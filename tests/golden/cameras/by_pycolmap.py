"""How the folders pycolmap_text and pycolmap_binary came to be: pycolmap 4.2.1.

    python by_pycolmap.py FOLDER

Two cameras (PINHOLE, and OPENCV with a small distortion), three images in another order than their names and with
points seen in them, one 3D point. truth.json is pycolmap's own projection centre and cam_from_world of each image.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pycolmap

FOLDER = Path(sys.argv[-1])
LENSES = {
    1: ("PINHOLE", [700.0, 710.0, 410.0, 236.0]),
    2: ("OPENCV", [705.0, 705.0, 416.0, 240.0, 0.01, -0.002, 1e-4, 0.0]),
}
IMAGES = ((1, "shot_10.png", 1), (2, "shot_9.png", 2), (3, "shot_11.png", 1))

model = pycolmap.Reconstruction()
for number, (kind, parameters) in LENSES.items():
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=number, model=kind, width=832, height=480, params=parameters)
    )
for number, name, lens in IMAGES:
    turn = pycolmap.Rotation3d(np.array([0.1, -0.2, 0.05]) * number)
    pose = pycolmap.Rigid3d(turn, np.array([0.5 * number, -0.1, 2.0]))
    image = pycolmap.Image(image_id=number, name=name, camera_id=lens)
    image.points2D = pycolmap.Point2DList(
        [pycolmap.Point2D(np.array([10.5, 20.25])), pycolmap.Point2D(np.array([400.0, 300.0]))]
    )
    model.add_image_with_trivial_frame(image, pose)
track = pycolmap.Track()
track.add_element(1, 0)
track.add_element(2, 1)
model.add_point3D(np.array([0.1, 0.2, 3.0]), track, np.array([10, 20, 30], dtype=np.uint8))

truth = {
    image.name: {
        "center": image.projection_center().tolist(),
        "cam_from_world": image.cam_from_world().matrix().tolist(),
    }
    for image in model.images.values()
}
for kind in ("text", "binary"):
    folder = FOLDER / f"pycolmap_{kind}"
    folder.mkdir(exist_ok=True)
    getattr(model, f"write_{kind}")(folder)
    (folder / "truth.json").write_text(json.dumps(truth))
