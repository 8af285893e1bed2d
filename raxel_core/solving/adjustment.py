"""Bundle adjustment of one model, by COLMAP, and how far its observations lie from where the model has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .colmap import load_pycolmap
from .features import CAMERA_ID

# Threads add up in the order in which they end: the rounding differs from run to run, and where the lens is hardly told
# it came to 2% of the focal length. On two cores one thread is as fast.
THREADS = 1
# The valley between focal length and distortion is long and flat: fewer steps stop in the middle of it.
ADJUSTMENT_STEPS = 100
_FUNCTION_TOLERANCE = 1e-6
_HUBER_PX = 1.0
_LEAST_TRACK = 3
# Into how many columns and rows a picture is divided.
_COLUMNS, _ROWS = 8, 6


class Observations(NamedTuple):
    """What a model's cameras see of its points: the numbers of the `points` [P] and `images` [I], and of each
    observation the index of its `point` [M] and `image` [M] there, its `feature` [M] and `pixel` [M, 2]."""

    points: list[int]
    images: list[int]
    point: np.ndarray
    image: np.ndarray
    feature: np.ndarray
    pixel: np.ndarray


def adjust(model: Any, *, refine_focal: bool, refine_distortion: bool = False, steps: int = ADJUSTMENT_STEPS) -> Any:
    """A bundle adjustment of `model`, in place, with the first camera and the scale held; the solved problem."""
    pycolmap = load_pycolmap()
    config = pycolmap.BundleAdjustmentConfig()
    for number in sorted(model.reg_image_ids()):
        config.add_image(number)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.refine_focal_length, options.refine_extra_params = refine_focal, refine_distortion
    options.ceres.loss_function_type = pycolmap.LossFunctionType.HUBER
    options.ceres.loss_function_scale = _HUBER_PX
    options.ceres.solver_options.max_num_iterations = steps
    options.ceres.solver_options.function_tolerance = _FUNCTION_TOLERANCE
    options.ceres.solver_options.num_threads = THREADS
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, model)
    adjuster.solve()
    return adjuster


def observations_of(model: Any) -> Observations:
    """All observations of a model."""
    points, images = sorted(model.point3D_ids()), sorted(model.reg_image_ids())
    place = {number: index for index, number in enumerate(images)}
    tracks = [model.points3D[number].track.elements for number in points]
    seen = [(element.image_id, element.point2D_idx) for track in tracks for element in track]
    pixel = [model.images[image].points2D[feature].xy for image, feature in seen]
    return Observations(
        points,
        images,
        np.repeat(np.arange(len(points)), [len(track) for track in tracks]),
        np.array([place[image] for image, _ in seen], dtype=np.int64),
        np.array([feature for _, feature in seen], dtype=np.int64),
        np.array(pixel, dtype=np.float64).reshape(-1, 2),
    )


def distances(model: Any, observed: Observations) -> np.ndarray:
    """[M]: how far each observation is from where its point is seen, in pixels; infinite behind the camera."""
    motion = np.stack([model.images[number].cam_from_world().matrix() for number in observed.images])[observed.image]
    position = np.stack([model.points3D[number].xyz for number in observed.points])[observed.point]
    local = (motion[:, :, :3] @ position[..., None])[..., 0] + motion[:, :, 3]
    front = local[:, 2] > 0.0
    off = np.full(len(local), np.inf)
    expected = model.cameras[CAMERA_ID].img_from_cam(local[front])
    off[front] = np.linalg.norm(np.asarray(expected) - observed.pixel[front], axis=-1)
    return off


def drop(model: Any, observations: list[tuple[int, int]]) -> None:
    """Take observations out of the model, and a point with them that fewer than three cameras see."""
    for number, place in observations:
        if model.images[number].points2D[place].has_point3D():
            model.delete_observation(number, place)
    for number in [each for each, point in model.points3D.items() if point.track.length() < _LEAST_TRACK]:
        model.delete_point3D(number)


def point_costs(model: Any, observed: Observations) -> np.ndarray:
    """[P]: what the adjustment's loss, Huber's, makes of each point's distances."""
    off = distances(model, observed).clip(max=1e6)
    cost = np.where(off < _HUBER_PX, 0.5 * np.square(off), _HUBER_PX * (off - 0.5 * _HUBER_PX))
    return np.bincount(observed.point, cost, minlength=len(observed.points))


def parts_of_picture(model: Any, observed: Observations) -> np.ndarray:
    """[P]: in which part of the picture each point is seen in the mean, of 8 columns and 6 rows."""
    camera = model.cameras[CAMERA_ID]
    count = np.bincount(observed.point, minlength=len(observed.points))
    place = np.stack([np.bincount(observed.point, side, minlength=len(count)) for side in observed.pixel.T], axis=-1)
    share = place / count[:, None] / (camera.width, camera.height)
    column, row = (share * (_COLUMNS, _ROWS)).astype(np.int64).clip(0, (_COLUMNS - 1, _ROWS - 1)).T
    return column + _COLUMNS * row
