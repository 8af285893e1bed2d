"""Correspondences -> cameras and points, by COLMAP's global mapper and one last bundle adjustment."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.sparse_points import SparsePoints
from .colmap import load_pycolmap
from .covariance import camera_change, pose_covariance, widened
from .features import CAMERA_ID, FeatureTable, colmap_camera, image_name
from .lens import Lens, lens_of_fov

# Where the search for a focal length that nobody gave starts from: angles of view across the picture.
_STARTS_DEGREES = (30.0, 45.0, 60.0, 80.0)
# How much less one that is e times the usual one is believed.
_USUAL = 0.03
_HALVINGS = 2
_SEARCH_FRAMES = 32
_SEARCH_TRACKS = 600
_SUPPORT_PX = 0.5
_POLL_SECONDS = 0.1
# A radial distortion that is less than this many of its standard deviations is none.
_SIGNIFICANT = 4.0
# What k1 lenses have; beyond, it stands for things that move by themselves.
_DISTORTIONS = (-0.45, 0.2)
_LEAST_FRAMES = 3
# The valley between focal length and distortion is long and flat: fewer steps stop in the middle of it.
_ADJUSTMENT_STEPS = 100
_FUNCTION_TOLERANCE = 1e-6
# The mapper's own adjustment only has to come near: all of it is adjusted again.
_MAPPER_STEPS = 10
_TRACKS = 2000
# Details wider than this many pixels drift along edges and shading; a frame does without where it keeps enough finer.
_COARSE_PX = 2.5
_LEAST_FINE = 50
# In how many parts, with as many steps, the points are adjusted apart to see how far such parts disagree.
_PARTS, _PART_STEPS = 4, 15
_LEAST_PART = 20
# An observation this many times as far off as most, and this many pixels at least, shows something else.
_FAR, _FAR_PX = 6.0, 2.0


class Mapped(NamedTuple):
    """The largest model: its frames' numbers [R], `world_from_cam` [R, 4, 4], the lens at the table's size, covariance
    [R, 7, 7] of (omega, centre, log f) against its first camera, `residual_px` [R] and the points; world and unit are
    the mapper's. `others` holds the frame numbers of the models that are not connected to it."""

    frames: tuple[int, ...]
    world_from_cam: Tensor
    lens: Lens
    covariance: Tensor | None
    residual_px: Tensor
    points: SparsePoints
    others: tuple[tuple[int, ...], ...]


def map_frames(table: FeatureTable, lens: Lens, *, done: Callable[[float], None]) -> Mapped | None:
    """Cameras and points of a table whose pairs are matched; None where no three frames can be connected.

    `done(share)` is called while COLMAP works and may raise: what it is doing then ends in the background, unused.
    """
    held = lens.assumed
    if held:
        lens = _found_lens(table, lens, lambda share: done(0.5 * share))
    models = _models(table, lens, held=held, done=lambda: done(0.75))
    if not models:
        return None
    largest = max(models, key=lambda model: (model.num_reg_images(), model.compute_num_observations()))
    others = tuple(_frames(model) for model in models if model is not largest)
    adjusted, adjuster = _in_background(lambda: _adjusted(largest, lens, table), lambda: done(0.9))
    done(0.95)
    return _mapped(table, adjusted, adjuster, lens, others)


def _found_lens(table: FeatureTable, lens: Lens, done: Callable[[float], None]) -> Lens:
    """The focal length, held while cameras are found, with which they explain most; then let go.

    A wrong one that is let go at once runs into a path of its own. Where the motion tells none, the usual one wins.
    """
    tried: dict[float, tuple[float, Any]] = {}
    for degrees in _STARTS_DEGREES:
        _try_focal(table, lens, lens_of_fov(math.radians(degrees), lens.hw).focal[0], tried, done)
    for _ in range(_HALVINGS):
        best = max(tried, key=lambda focal: tried[focal][0])
        sides = (max((f for f in tried if f < best), default=None), min((f for f in tried if f > best), default=None))
        for side in sides:
            if side is not None:
                _try_focal(table, lens, math.sqrt(best * side), tried, done)
    best = max(tried, key=lambda focal: tried[focal][0])
    support, model = tried[best]
    held = replace(lens, focal=(best, best))
    if model is None:
        return held
    _adjust(model, refine_lens=True, refine_distortion=False)
    return _lens_of(model.cameras[CAMERA_ID], lens) if _support(model) >= support else held


def _try_focal(
    table: FeatureTable,
    lens: Lens,
    focal: float,
    tried: dict[float, tuple[float, Any]],
    done: Callable[[float], None],
) -> None:
    """Put how far this focal length is believed, and its model, among those `tried`."""
    share = len(tried) / (len(_STARTS_DEGREES) + 2 * _HALVINGS)
    models = _models(
        table, replace(lens, focal=(focal, focal)), frames=_spread(len(table)), done=lambda: done(min(share, 1.0))
    )
    support, model = max(((_support(each), each) for each in models), key=lambda each: each[0], default=(0.0, None))
    tried[focal] = (support * (1.0 - _USUAL * math.log(focal / lens.focal[0]) ** 2), model)


def _support(model: Any) -> float:
    """How many observations a model explains, one that is off by _SUPPORT_PX counting half."""
    model.update_point_3d_errors()
    return sum(p.track.length() / (1.0 + (p.error / _SUPPORT_PX) ** 2) for p in model.points3D.values())


def _spread(frames: int) -> tuple[int, ...]:
    """At most _SEARCH_FRAMES frames whose distances are a power of two, as those of matched pairs are."""
    step = 1
    while frames / step > _SEARCH_FRAMES:
        step *= 2
    return tuple(range(0, frames, step))


def _models(
    table: FeatureTable,
    lens: Lens,
    *,
    done: Callable[[], None],
    held: bool = False,
    frames: tuple[int, ...] | None = None,
) -> list[Any]:
    """COLMAP's models of all frames, or quickly of some, from `lens` on, its focal length `held` or let go."""
    pycolmap = load_pycolmap()
    folder = table.path.parent / f"map_{len(list(table.path.parent.glob('map_*')))}"
    folder.mkdir()
    database_path = Path(shutil.copy(table.path, folder))
    with pycolmap.Database.open(database_path) as database:
        camera = colmap_camera(lens)
        camera.has_prior_focal_length = True
        database.update_camera(camera)
    options = _options(lens, held=held or frames is not None, quick=frames is not None)
    if frames is not None:
        options.image_names = [image_name(frame) for frame in frames]
    models = _in_background(lambda: pycolmap.global_mapping(database_path, folder, folder, options), done)
    found = [model for model in models.values() if model.num_reg_images() >= _LEAST_FRAMES and model.num_points3D()]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _options(lens: Lens, *, held: bool, quick: bool) -> Any:
    """The mapper's options; distortion is left to the last adjustment, where there is something to tell it by."""
    pycolmap = load_pycolmap()
    options = pycolmap.GlobalPipelineOptions(random_seed=0, min_model_size=_LEAST_FRAMES)
    options.mapper.random_seed = 0
    options.mapper.bundle_adjustment.refine_extra_params = False
    options.mapper.bundle_adjustment.refine_focal_length = not (lens.known or held)
    options.mapper.bundle_adjustment.ceres.solver_options.max_num_iterations = _MAPPER_STEPS
    options.mapper.skip_retriangulation = True
    options.mapper.keep_max_num_tracks = _SEARCH_TRACKS if quick else _TRACKS
    options.mapper.ba_num_iterations = 2 if quick else 1
    return options


def _in_background(work: Callable[[], Any], done: Callable[[], None]) -> Any:
    """What `work` returns or raises, with `done()` called meanwhile; when that raises, the work is left behind."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((work(), None))
        except Exception as error:  # noqa: BLE001 - it is raised again below, in the thread that waits
            outcome.extend((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        done()
        thread.join(_POLL_SECONDS)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def _adjusted(model: Any, lens: Lens, table: FeatureTable) -> tuple[Any, Any]:
    """The model, and its adjustment problem; an unknown lens may distort now, where that is told from none."""
    free = not lens.known
    _drop(model, _coarse(model, table))
    _adjust(model, refine_lens=free, refine_distortion=free)
    _drop(model, _far(model))
    adjuster = _adjust(model, refine_lens=free, refine_distortion=free)
    camera = model.cameras[CAMERA_ID]
    k1 = camera.params[3]
    told = k1**2 >= _SIGNIFICANT**2 * _distortion_variance(model, adjuster) if free else True
    if free and not (told and _DISTORTIONS[0] < k1 < _DISTORTIONS[1]):
        camera.params = [*camera.params[:3], 0.0]
        adjuster = _adjust(model, refine_lens=True, refine_distortion=False)
    return model, adjuster


def _adjust(model: Any, *, refine_lens: bool, refine_distortion: bool, steps: int = _ADJUSTMENT_STEPS) -> Any:
    """A bundle adjustment of `model`, in place, with the first camera and the scale held; the solved problem."""
    pycolmap = load_pycolmap()
    config = pycolmap.BundleAdjustmentConfig()
    for number in sorted(model.reg_image_ids()):
        config.add_image(number)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.refine_focal_length, options.refine_extra_params = refine_lens, refine_distortion
    options.ceres.loss_function_type = pycolmap.LossFunctionType.HUBER
    options.ceres.solver_options.max_num_iterations = steps
    options.ceres.solver_options.function_tolerance = _FUNCTION_TOLERANCE
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, model)
    adjuster.solve()
    return adjuster


def _coarse(model: Any, table: FeatureTable) -> list[tuple[int, int]]:
    """The observations (image, feature) of details too wide to be placed well, in images that keep enough others."""
    found = []
    for number in model.reg_image_ids():
        seen = [place for place, point in enumerate(model.images[number].points2D) if point.has_point3D()]
        wide = [place for place in seen if table.scales[number - 1][place] > _COARSE_PX]
        found += [(number, place) for place in wide if len(seen) - len(wide) >= _LEAST_FINE]
    return found


def _far(model: Any) -> list[tuple[int, int]]:
    """The observations (image, feature) that lie far from where the model has their point."""
    camera = model.cameras[CAMERA_ID]
    seen: list[tuple[int, int]] = []
    distances: list[float] = []
    for point in model.points3D.values():
        for element in point.track.elements:
            image = model.images[element.image_id]
            expected = camera.img_from_cam(image.cam_from_world() * point.xyz)
            seen_at = image.points2D[element.point2D_idx].xy
            off = math.inf if expected is None else float(np.linalg.norm(expected - seen_at))
            seen.append((element.image_id, element.point2D_idx))
            distances.append(off)
    most = max(_FAR_PX, _FAR * float(np.median(distances)))
    return [each for each, off in zip(seen, distances, strict=True) if off > most]


def _drop(model: Any, observations: list[tuple[int, int]]) -> None:
    """Take observations out of the model, and a point with them that fewer than three cameras see."""
    for number, place in observations:
        if model.images[number].points2D[place].has_point3D():
            model.delete_observation(number, place)
    for number in [each for each, point in model.points3D.items() if point.track.length() < _LEAST_FRAMES]:
        model.delete_point3D(number)


def _distortion_variance(model: Any, adjuster: Any) -> float:
    """The variance of k1, infinity where the adjustment cannot tell."""
    pycolmap = load_pycolmap()
    found = pycolmap.estimate_ba_covariance(pycolmap.BACovarianceOptions(), model, adjuster)
    block = None if found is None else found.get_other_params_cov(model.cameras[CAMERA_ID].params)
    return math.inf if block is None or block.shape != (2, 2) else float(block[1, 1])


def _mapped(table: FeatureTable, model: Any, adjuster: Any, lens: Lens, others: tuple[tuple[int, ...], ...]) -> Mapped:
    frames = _frames(model)
    images = [model.images[frame + 1] for frame in frames]
    cam_from_world = torch.from_numpy(np.stack([image.cam_from_world().matrix() for image in images]))
    rigid = se3.from_rotation_translation(cam_from_world[:, :, :3], cam_from_world[:, :, 3])
    found_lens = _lens_of(model.cameras[CAMERA_ID], lens)
    points = _points(table, model, frames, found_lens)
    distances = _distances(points, rigid, found_lens)
    residual = _per_camera(points, distances, len(frames))
    # Of one coordinate: half of what both have, weighed down as the adjustment does.
    variance = 0.5 * float((distances.square() / (1.0 + distances.square())).mean()) if len(distances) else math.nan
    covariance = pose_covariance(model, adjuster, frames, variance, CAMERA_ID)
    if covariance is not None:
        covariance = widened(covariance, _parts(model, frames, lens))
    return Mapped(frames, se3.inverse(rigid), found_lens, covariance, residual, points, others)


def _parts(model: Any, frames: tuple[int, ...], lens: Lens) -> Tensor | None:
    """[_PARTS, R, 7] of (omega, centre, log f) of every camera against the model's, each adjusted to a part of the
    points alone; None where there are too few points for that."""
    numbers = sorted(model.point3D_ids())
    if len(numbers) < _PARTS * _LEAST_PART:
        return None
    found = []
    for part in range(_PARTS):
        own = load_pycolmap().Reconstruction(model)
        for place, number in enumerate(numbers):
            if place % _PARTS != part:
                own.delete_point3D(number)
        distorts = not lens.known and bool(own.cameras[CAMERA_ID].params[3])
        _adjust(own, refine_lens=not lens.known, refine_distortion=distorts, steps=_PART_STEPS)
        found.append(camera_change(model, own, frames, CAMERA_ID))
    return torch.stack(found)


def _frames(model: Any) -> tuple[int, ...]:
    """The frame numbers that a model has cameras for, rising."""
    return tuple(sorted(int(number) - 1 for number in model.reg_image_ids()))


def _lens_of(camera: Any, given: Lens) -> Lens:
    """What the adjustment made of the lens; a known one as it was."""
    if given.known:
        return given
    focal, cx, cy, k1 = camera.params
    return Lens(given.hw, (focal, focal), (cx, cy), (float(k1), 0.0, 0.0, 0.0))


def _points(table: FeatureTable, model: Any, frames: tuple[int, ...], lens: Lens) -> SparsePoints:
    """The model's points, coloured by the frames that saw them, observations with the distortion taken out."""
    place = {frame + 1: index for index, frame in enumerate(frames)}
    positions, errors, colours, seen, seen_by, pixels = [], [], [], [], [], []
    for index, point in enumerate(model.points3D.values()):
        track = [(element.image_id, element.point2D_idx) for element in point.track.elements]
        positions.append(point.xyz)
        errors.append(point.error)
        colours.append(np.mean([table.colours[image - 1][feature] for image, feature in track], axis=0))
        seen += [index] * len(track)
        seen_by += [place[image] for image, _ in track]
        pixels += [table.keypoints[image - 1][feature] for image, feature in track]
    return SparsePoints(
        torch.from_numpy(np.array(positions, dtype=np.float64).reshape(-1, 3)),
        torch.from_numpy(np.array(colours).reshape(-1, 3).round().astype(np.uint8)),
        torch.from_numpy(np.array(errors, dtype=np.float64)),
        torch.tensor(seen, dtype=torch.long),
        torch.tensor(seen_by, dtype=torch.long),
        lens.undistorted(torch.from_numpy(np.array(pixels, dtype=np.float64).reshape(-1, 2))),
    )


def _distances(points: SparsePoints, cam_from_world: Tensor, lens: Lens) -> Tensor:
    """[M]: how far each observation is from where its point is seen, in pixels of the pinhole."""
    motion = cam_from_world[points.seen_by]
    local = (motion[:, :3, :3] @ points.position[points.seen][..., None]).squeeze(-1) + motion[:, :3, 3]
    expected = local[:, :2] / local[:, 2:] * local.new_tensor(lens.focal) + local.new_tensor(lens.principal_point)
    return torch.linalg.vector_norm(points.pixel - expected, dim=-1)


def _per_camera(points: SparsePoints, distances: Tensor, cameras: int) -> Tensor:
    """[R]: the root mean square of the distances in each camera, NaN where it saw no point."""
    total = distances.new_zeros(cameras).index_add_(0, points.seen_by, distances.square())
    count = distances.new_zeros(cameras).index_add_(0, points.seen_by, torch.ones_like(distances))
    return (total / count).sqrt()
