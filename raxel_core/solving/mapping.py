"""Correspondences -> cameras and points, by COLMAP's global mapper and one last bundle adjustment."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.sparse_points import SparsePoints
from .adjustment import THREADS, adjust, distances, drop, observations_of
from .colmap import load_pycolmap
from .covariance import camera_change, pose_covariance, widened
from .features import CAMERA_ID, FeatureTable, colmap_camera, image_name
from .focal import Rival, ToldFocal, clearness, hold_focal, rivals_of, tell_focal
from .lens import Lens, lens_of_fov
from .matching import Correspondences
from .motion import support_by_part
from .relative import write_relative_poses
from .zoom import Found, unzoomed

# Where the search for a focal length that nobody gave starts from: angles of view across the picture.
_STARTS_DEGREES = (30.0, 45.0, 60.0, 80.0)
# How much less one that is e times the usual one is believed.
_USUAL = 0.03
_HALVINGS = 2
# How much an adjustment may change it, as a logarithm: about as much as two starts differ.
_MOST_CHANGE = 0.4
_SEARCH_FRAMES = 32
_SEARCH_TRACKS = 600
_SUPPORT_PX = 0.5
_POLL_SECONDS = 0.1
# A radial distortion that is less than this many of its standard deviations is none.
_SIGNIFICANT = 4.0
# What k1 lenses have; beyond, it stands for things that move by themselves.
_DISTORTIONS = (-0.45, 0.2)
_LEAST_FRAMES = 3
# How far, as a logarithm, a focal length that nobody gave may be from what it starts at; and one that was given.
_ASSUMED_SIGMA, _GIVEN_SIGMA = 0.5, 0.1
# Points whose rays meet under less than this are dropped. COLMAP's 1 degree drops what lies ahead of a camera that
# drives on, and a wrong focal length that takes the drive for a sideways one keeps all of it: it looked better founded.
_LEAST_ANGLE_DEGREES = 0.1
# How much more clearly, as z, cameras explain the matches with a zoom taken out than without.
_CLEARLY_ZOOMS = 3.0
# The mapper's own adjustment only has to come near: all of it is adjusted again.
_MAPPER_STEPS = 10
_TRACKS = 2000
# Details wider than this many pixels drift along edges and shading, and who walks fits a drive for some frames: a frame
# does without those, and those that fewer cameras see, where it keeps enough others.
_COARSE_PX = 2.5
_BRIEF = 5
_LEAST_FINE = 50
# In how many parts, with as many steps, the points are adjusted apart to see how far such parts disagree.
_PARTS, _PART_STEPS = 4, 15
_LEAST_PART = 20
# An observation this many times as far off as most, and this many pixels at least, shows something else.
_FAR, _FAR_PX = 6.0, 2.0


class Mapped(NamedTuple):
    """The largest model: its frames' numbers [R], `world_from_cam` [R, 4, 4], the lens at the table's size, covariance
    [R, 8, 8] of (omega, centre, log f, log near depth) against its first camera, the farthest one's distance held
    (`scale.covariance_in`), `residual_px` [R] and the points; world and unit are the mapper's. `others` holds
    the frame numbers of the models that are not connected to it; where the lens zooms, `zoom` [R] is what each camera's
    focal length has more than the lens's."""

    frames: tuple[int, ...]
    world_from_cam: Tensor
    lens: Lens
    covariance: Tensor | None
    residual_px: Tensor
    points: SparsePoints
    others: tuple[tuple[int, ...], ...]
    zoom: Tensor | None = None

    def zoomed(self, zoom: Tensor) -> Mapped:
        """The same cameras, by the `zoom` [R] of the lens seen in the pictures as they are. Its course is that of the
        turn that comes nearest, off by what the camera drove: no error bar knows of that, so there are none."""
        middle = self.points.pixel.new_tensor(self.lens.principal_point)
        pixel = middle + (self.points.pixel - middle) * zoom[self.points.seen_by, None]
        points, residual = replace(self.points, pixel=pixel), self.residual_px * zoom
        return self._replace(covariance=None, residual_px=residual, points=points, zoom=zoom)


def map_frames(
    table: FeatureTable,
    found: Sequence[Correspondences],
    lens: Lens,
    *,
    zoom: Tensor | None = None,
    done: Callable[[float], None],
) -> Mapped | None:
    """Cameras and points of a table whose pairs are matched and have `found` in common; None where no three frames can
    be connected. The lens is one for all frames, or changes by the `zoom` [F] where that explains far more.

    `done(share)` is called while COLMAP works and may raise: what it is doing then ends in the background, unused.
    """
    prior = math.sqrt(lens.focal[0] * lens.focal[1]), _ASSUMED_SIGMA if lens.assumed else _GIVEN_SIGMA
    held = lens.assumed
    rivals: tuple[Rival, ...] = ()
    if held:
        lens, rivals = _found_lens(table, found, lens, lambda share: done(0.5 * share))
    if zoom is not None:
        own = table, found
        table, found = _as_one_lens(own, lens, zoom, lambda: done(0.5))
        if table is own[0]:
            zoom = None
        elif held:
            lens, rivals = _found_lens(table, found, lens, lambda share: done(0.5 + 0.2 * share))
    models = _models(table, lens, held=held, done=lambda: done(0.7))
    if not models:
        return None
    largest = max(models, key=lambda model: (model.num_reg_images(), model.compute_num_observations()))
    others = tuple(_frames(model) for model in models if model is not largest)
    adjusted, told = _in_background(
        lambda: _adjusted(largest, lens, table, prior, rivals, straight=zoom is not None), lambda: done(0.8)
    )
    done(0.9)
    mapped = _in_background(lambda: _mapped(table, adjusted, told, lens, others), lambda: done(0.95))
    return mapped if zoom is None else mapped.zoomed(zoom[list(mapped.frames)])


def _as_one_lens(own: Found, lens: Lens, zoom: Tensor, done: Callable[[], None]) -> Found:
    """What was found, with the `zoom` taken out where cameras then explain far more; else as it is."""
    unlike = unzoomed(*own, lens.principal_point, zoom)
    supports = [_support_at(*each, lens, done) for each in (own, unlike)]
    return unlike if clearness(supports[1], supports[0]) > _CLEARLY_ZOOMS else own


def _support_at(
    table: FeatureTable, found: Sequence[Correspondences], lens: Lens, done: Callable[[], None]
) -> np.ndarray:
    """What cameras found quickly with this focal length explain in every part of the picture."""
    models = _models(table, lens, frames=_spread(len(table)), done=done)
    return max((_supports(model, found, table.hw) for model in models), key=np.sum, default=np.zeros(1))


def _found_lens(
    table: FeatureTable, found: Sequence[Correspondences], lens: Lens, done: Callable[[float], None]
) -> tuple[Lens, tuple[Rival, ...]]:
    """The focal length, held while cameras are found, with which they explain most, then let go; and its rivals.

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
        return held, ()
    models = {focal: each for focal, (_, each) in tried.items() if each is not None}
    rivals = rivals_of(models, {focal: _supports(each, found, table.hw) for focal, each in models.items()}, best)
    adjust(model, refine_focal=True)
    # An adjustment that nothing holds may run away to where all depths collapse, which explains everything.
    near = abs(math.log(model.cameras[CAMERA_ID].params[0] / best)) < _MOST_CHANGE
    return _lens_of(model.cameras[CAMERA_ID], lens) if near and _support(model) >= support else held, rivals


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


def _supports(model: Any, found: Sequence[Correspondences], hw: tuple[int, int]) -> np.ndarray:
    """What the model's cameras explain in every part of the picture."""
    frames = _frames(model)
    K = torch.from_numpy(model.cameras[CAMERA_ID].calibration_matrix()).expand(len(frames), 3, 3)
    return support_by_part(found, Camera(se3.inverse(_motions(model, frames)), K, hw), frames)


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

    def work() -> Any:
        with pycolmap.Database.open(database_path) as database:
            write_relative_poses(database, table, frames)
        return pycolmap.global_mapping(database_path, folder, folder, options)

    models = _in_background(work, done)
    found = [model for model in models.values() if model.num_reg_images() >= _LEAST_FRAMES and model.num_points3D()]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _options(lens: Lens, *, held: bool, quick: bool) -> Any:
    """The mapper's options; distortion is left to the last adjustment, where there is something to tell it by."""
    pycolmap = load_pycolmap()
    options = pycolmap.GlobalPipelineOptions(random_seed=0, num_threads=THREADS, min_model_size=_LEAST_FRAMES)
    options.decompose_relative_pose = False
    options.mapper.random_seed, options.mapper.num_threads = 0, THREADS
    options.mapper.bundle_adjustment.refine_extra_params = False
    options.mapper.bundle_adjustment.refine_focal_length = not (lens.known or held)
    options.mapper.bundle_adjustment.ceres.solver_options.max_num_iterations = _MAPPER_STEPS
    options.mapper.bundle_adjustment.ceres.solver_options.num_threads = THREADS
    options.mapper.min_tri_angle_deg = _LEAST_ANGLE_DEGREES
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


def _adjusted(
    model: Any,
    lens: Lens,
    table: FeatureTable,
    prior: tuple[float, float],
    rivals: tuple[Rival, ...] = (),
    *,
    straight: bool = False,
) -> tuple[Any, ToldFocal | None]:
    """The model, adjusted, and what it, its `rivals` and the `prior` tell of the focal length; a lens that is neither
    known nor `straight` may distort now, where that is told from none."""
    drop(model, _doubtful(model, table))
    if lens.known:
        _held(model)
        return model, None
    start, before = model.cameras[CAMERA_ID].params[0], load_pycolmap().Reconstruction(model)
    distorts = _released(model, straight)
    if abs(math.log(model.cameras[CAMERA_ID].params[0] / start)) > _MOST_CHANGE:
        model, distorts = before, False
        _held(model)
    told = tell_focal(model, prior, _frames(model), distorts=distorts, rivals=rivals)
    if told.focal != model.cameras[CAMERA_ID].params[0]:
        hold_focal(model, told.focal, distorts=distorts)
    return model, told


def _held(model: Any) -> None:
    """Adjust all but the lens."""
    adjust(model, refine_focal=False)
    drop(model, _far(model))
    adjust(model, refine_focal=False)


def _released(model: Any, straight: bool) -> bool:
    """Adjust all, the lens too, which may distort where it is not `straight`; whether it does."""
    adjust(model, refine_focal=True, refine_distortion=not straight)
    drop(model, _far(model))
    adjuster = adjust(model, refine_focal=True, refine_distortion=not straight)
    if straight:
        return False
    camera = model.cameras[CAMERA_ID]
    k1 = camera.params[3]
    told = bool(k1**2 >= _SIGNIFICANT**2 * _distortion_variance(model, adjuster))
    if told and _DISTORTIONS[0] < k1 < _DISTORTIONS[1]:
        return True
    camera.params = [*camera.params[:3], 0.0]
    adjust(model, refine_focal=True)
    return False


def _doubtful(model: Any, table: FeatureTable) -> list[tuple[int, int]]:
    """The observations (image, feature) of details too wide to be placed well, or followed too briefly to tell whether
    they move by themselves, in images that keep enough others."""
    brief = {number for number, point in model.points3D.items() if point.track.length() < _BRIEF}
    found = []
    for number in model.reg_image_ids():
        points = model.images[number].points2D
        seen = [place for place, point in enumerate(points) if point.has_point3D()]
        scales = table.scales[number - 1]
        doubted = [place for place in seen if scales[place] > _COARSE_PX or points[place].point3D_id in brief]
        found += [(number, place) for place in doubted if len(seen) - len(doubted) >= _LEAST_FINE]
    return found


def _far(model: Any) -> list[tuple[int, int]]:
    """The observations (image, feature) that lie far from where the model has their point."""
    observed = observations_of(model)
    off = distances(model, observed)
    far = np.flatnonzero(off > max(_FAR_PX, _FAR * float(np.median(off))))
    return [(observed.images[observed.image[each]], int(observed.feature[each])) for each in far]


def _distortion_variance(model: Any, adjuster: Any) -> float:
    """The variance of k1, infinity where the adjustment cannot tell."""
    pycolmap = load_pycolmap()
    found = pycolmap.estimate_ba_covariance(pycolmap.BACovarianceOptions(), model, adjuster)
    block = None if found is None else found.get_other_params_cov(model.cameras[CAMERA_ID].params)
    return math.inf if block is None or block.shape != (2, 2) else float(block[1, 1])


def _mapped(
    table: FeatureTable, model: Any, told: ToldFocal | None, lens: Lens, others: tuple[tuple[int, ...], ...]
) -> Mapped:
    frames = _frames(model)
    rigid = _motions(model, frames)
    found_lens = _lens_of(model.cameras[CAMERA_ID], lens)
    points = _points(table, model, frames, found_lens)
    off = _distances(points, rigid, found_lens)
    residual = _per_camera(points, off, len(frames))
    # Of one coordinate: half of what both have, weighed down as the adjustment does.
    variance = 0.5 * float((off.square() / (1.0 + off.square())).mean()) if len(off) else math.nan
    covariance = _covariance(model, frames, variance, told)
    return Mapped(frames, se3.inverse(rigid), found_lens, covariance, residual, points, others)


def _covariance(model: Any, frames: tuple[int, ...], variance: float, told: ToldFocal | None) -> Tensor | None:
    """[R, 8, 8]: of the cameras with the focal length held, and what is not known of that on top."""
    distorts = told is not None and bool(model.cameras[CAMERA_ID].params[3])
    adjuster = adjust(model, refine_focal=False, refine_distortion=distorts)
    covariance = pose_covariance(model, adjuster, frames, variance)
    if covariance is None:
        return None
    covariance = widened(covariance, _parts(model, frames, distorts))
    return covariance if told is None else covariance + told.covariance()


def _parts(model: Any, frames: tuple[int, ...], distorts: bool) -> Tensor | None:
    """[_PARTS, R, 8] of (omega, centre, log f, log near depth) of every camera against the model's, each adjusted to a
    part of the points alone; None where there are too few points for that."""
    numbers = sorted(model.point3D_ids())
    if len(numbers) < _PARTS * _LEAST_PART:
        return None
    found = []
    for part in range(_PARTS):
        own = load_pycolmap().Reconstruction(model)
        for place, number in enumerate(numbers):
            if place % _PARTS != part:
                own.delete_point3D(number)
        before = load_pycolmap().Reconstruction(own)
        adjust(own, refine_focal=False, refine_distortion=distorts, steps=_PART_STEPS)
        found.append(camera_change(before, own, frames, CAMERA_ID))
    return torch.stack(found)


def _frames(model: Any) -> tuple[int, ...]:
    """The frame numbers that a model has cameras for, rising."""
    return tuple(sorted(int(number) - 1 for number in model.reg_image_ids()))


def _motions(model: Any, frames: tuple[int, ...]) -> Tensor:
    """[R, 4, 4] cam_from_world of the model's `frames`."""
    matrices = torch.from_numpy(np.stack([model.images[frame + 1].cam_from_world().matrix() for frame in frames]))
    return se3.from_rotation_translation(matrices[:, :, :3], matrices[:, :, 3])


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
