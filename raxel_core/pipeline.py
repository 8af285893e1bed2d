"""The three tasks and the loop, each as one short function over one clip. Start reading here.

images + cameras -> raxels -> latents (two streams) -> joint denoising -> latents -> raxels -> cameras

Cameras are expressed relative to the **reference**, the camera of the earliest source, or of frame 0 where there is
none. Lengths are in the unit that the model's recipe names. The same for batches of clips is in `denoising`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from .denoising import Run, SourceBatch, denoise_joint, denoise_rays, denoise_video, reference_frame
from .framing import check_aspect
from .geometry.camera import Camera, stack
from .geometry.pose import PoseRecoveryError, RecoveredCameras
from .geometry.trajectory import Trajectory
from .latents.frames import check_frame_count
from .raxel_model import RaxelModel, embedded_models, load_model
from .raxels import decode_raxels, range_report
from .sampling import Progress, camera_schedule, joint_schedule, pose_schedule

__all__ = [
    "CameraEstimate",
    "JointResult",
    "LoopResult",
    "RaxelModel",
    "Source",
    "UnreadCamerasError",
    "embedded_models",
    "estimate_cameras",
    "generate_joint",
    "generate_video",
    "load_model",
    "read_cameras",
    "self_consistency",
    "trajectory_warnings",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Source:
    """A known picture [3, H, W] in [-1, 1], the number of the frame that it shows, and its camera if that is known."""

    image: Tensor
    frame: int = 0
    camera: Camera | None = None


@dataclass(frozen=True, eq=False)
class CameraEstimate:
    """The cameras of a clip: the path, the raxels [3, F, h, w] it was read from, and how sure the reading is."""

    trajectory: Trajectory
    raxels: Tensor
    recovered: RecoveredCameras


@dataclass(frozen=True, eq=False)
class JointResult:
    """A generated clip [3, F, H, W] in [-1, 1] and its cameras."""

    video: Tensor
    cameras: CameraEstimate


@dataclass(frozen=True, eq=False)
class LoopResult:
    """A clip's cameras, the clip generated again along them, and the cameras of that."""

    first: CameraEstimate
    video: Tensor
    second: CameraEstimate


class UnreadCamerasError(PoseRecoveryError):
    """A clip was generated whose cameras can not be read; `video` [3, F, H, W] keeps it from being lost."""

    def __init__(self, cause: PoseRecoveryError, video: Tensor) -> None:
        super().__init__(cause.frame, cause.fault)
        self.video = video


def estimate_cameras(
    model: RaxelModel,
    video: Tensor,
    *,
    sources: Sequence[Source] = (),
    steps: int = 2,
    seed: int = 0,
    method: str = "robust",
    focal: str = "shared",
    fps: float | None = None,
    progress: Progress | None = None,
    on_block: Callable[[int], None] | None = None,
) -> CameraEstimate:
    """Where was the camera: cameras [F] of a clip [3, F, H, W] in [-1, 1], K in its pixels.

    `sources` are frames of the clip whose camera may be known. `method` and `focal` are those of
    `geometry.pose.recover_cameras`; `fps` is the clip's rate, the recipe's when None. Raises ValueError for a clip
    that does not suit the model, PoseRecoveryError where no camera can be read, NonFiniteLatentsError.
    """
    _check_clip(video)
    batch = _source_batch(sources, frames=video.shape[1])
    run = Run(pose_schedule(steps), seeds=(seed,), progress=progress, on_block=on_block)
    (raxels,) = denoise_rays(model, video[None], batch, run=run)
    hw = (video.shape[2], video.shape[3])
    return read_cameras(
        model,
        raxels,
        hw,
        method=method,
        focal=focal,
        fps=fps,
        reference=reference_frame(batch),
        known=_known_reference(batch),
    )


def generate_video(
    model: RaxelModel,
    sources: Sequence[Source],
    trajectory: Trajectory,
    *,
    steps: int = 20,
    shift: float = 1.0,
    sampler: str = "euler",
    source_guidance: float = 1.0,
    text_guidance: float = 1.0,
    text: Tensor | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    on_block: Callable[[int], None] | None = None,
) -> Tensor:
    """What would the camera see: a clip [3, F, H, W] in [-1, 1] along a trajectory of F cameras.

    The clip has the size of the sources, or of the trajectory's images where there is none; a source shows what the
    trajectory's camera of its frame sees. Logs `trajectory_warnings`. Raises ValueError for a trajectory or sources
    that do not suit the model or each other, NonFiniteLatentsError.
    """
    trajectory.camera.validate()
    batch = _source_batch(sources, frames=len(trajectory))
    hw = batch.hw if batch else trajectory.camera.hw
    for warning in trajectory_warnings(model, trajectory, hw, reference=reference_frame(batch)):
        _log.warning(warning)
    run = Run(
        camera_schedule(steps, shift=shift),
        (seed,),
        sampler,
        source_guidance=source_guidance,
        text_guidance=text_guidance,
        text=text,
        progress=progress,
        on_block=on_block,
    )
    (video,) = denoise_video(model, batch, trajectory.camera[None], hw, run=run)
    return video


def generate_joint(
    model: RaxelModel,
    sources: Sequence[Source],
    *,
    frames: int | None = None,
    hw: tuple[int, int] | None = None,
    steps: int = 20,
    ray_steps: int | None = None,
    mode: str = "first",
    shift: float = 1.0,
    sampler: str = "euler",
    source_guidance: float = 1.0,
    text_guidance: float = 1.0,
    text: Tensor | None = None,
    seed: int = 0,
    method: str = "robust",
    focal: str = "shared",
    fps: float | None = None,
    progress: Progress | None = None,
    on_block: Callable[[int], None] | None = None,
) -> JointResult:
    """Both at once: a clip of `frames` (the recipe's when None) and its cameras, from source images.

    The clip has the size of the sources, or `hw` (the recipe's when None) where there is none. `ray_steps` and
    `mode` are those of `sampling.joint_schedule`. Errors as in `estimate_cameras` and `generate_video`, but
    UnreadCamerasError, which holds the clip, where its cameras cannot be read.
    """
    frames = model.recipe.frames if frames is None else frames
    batch = _source_batch(sources, frames=frames)
    hw = batch.hw if batch else hw or model.recipe.hw
    run = Run(
        joint_schedule(steps, ray_steps, mode=mode, shift=shift),
        (seed,),
        sampler,
        source_guidance=source_guidance,
        text_guidance=text_guidance,
        text=text,
        progress=progress,
        on_block=on_block,
    )
    (video,), (raxels,) = denoise_joint(model, batch, frames, hw, run=run)
    try:
        cameras = read_cameras(
            model,
            raxels,
            hw,
            method=method,
            focal=focal,
            fps=fps,
            reference=reference_frame(batch),
            known=_known_reference(batch),
        )
    except PoseRecoveryError as error:
        raise UnreadCamerasError(error, video) from error
    return JointResult(video, cameras)


def self_consistency(
    model: RaxelModel,
    video: Tensor,
    *,
    source_frames: Sequence[int] | None = None,
    steps: int = 20,
    pose_steps: int = 2,
    shift: float = 1.0,
    sampler: str = "euler",
    seed: int = 0,
    method: str = "robust",
    focal: str = "shared",
    fps: float | None = None,
    progress: Progress | None = None,
    on_block: Callable[[int], None] | None = None,
) -> LoopResult:
    """Close the loop: the cameras of a clip [3, F, H, W], the clip generated from them, and the cameras of that.

    `source_frames` are the frames that the generation is shown, the first, middle and last when None ("Rays as
    Pixels" shows three). Errors as in `estimate_cameras` and `generate_video`, but UnreadCamerasError, which holds the
    generated clip, where the cameras of that cannot be read.
    """
    _check_clip(video)
    last = video.shape[1] - 1
    shown = sorted({0, last // 2, last} if source_frames is None else set(source_frames))
    sources = [Source(video[:, frame], frame) for frame in shown if 0 <= frame <= last]
    if len(sources) < len(shown):
        raise ValueError(f"the sources {shown} are not all frames of a clip of {last + 1}")
    total = 2 * pose_steps + steps
    stages = [_stage(progress, done, total) for done in (0, pose_steps, pose_steps + steps)]
    estimate = partial(
        estimate_cameras, model, steps=pose_steps, seed=seed, method=method, focal=focal, fps=fps, on_block=on_block
    )
    first = estimate(video, progress=stages[0])
    generated = generate_video(
        model,
        sources,
        first.trajectory,
        steps=steps,
        shift=shift,
        sampler=sampler,
        seed=seed,
        progress=stages[1],
        on_block=on_block,
    )
    try:
        second = estimate(generated, progress=stages[2])
    except PoseRecoveryError as error:
        raise UnreadCamerasError(error, generated) from error
    return LoopResult(first, generated, second)


def trajectory_warnings(
    model: RaxelModel, trajectory: Trajectory, hw: tuple[int, int], *, reference: int = 0
) -> tuple[str, ...]:
    """What a user should know before a clip of `hw` is generated along a trajectory, a sentence each.

    Says when its lengths are in another unit than the model was trained on, and when its raxels relative to frame
    `reference` leave the range [-1, 1], with the scene scale that would fit.
    """
    warnings = []
    if trajectory.unit != model.recipe.unit:
        warnings.append(
            f"the trajectory's lengths are in {trajectory.unit} and the model was trained on {model.recipe.unit}: "
            "the camera may travel too far or too little"
        )
    scale = model.recipe.raxel_scale
    raxels = model.raxels(trajectory.camera, hw, reference=reference)
    report = range_report(raxels, trajectory.camera, scale=scale, reference=reference)
    if not report.fits:
        warnings.append(
            f"{report.fraction_outside:.1%} of the raxels leave the range [-1, 1] (peak {report.peak:.2f}): "
            f"the camera goes further than the model can express; scale the scene by {report.fitting_scale:.3g} to fit"
        )
    return tuple(warnings)


def read_cameras(
    model: RaxelModel,
    raxels: Tensor,
    hw: tuple[int, int],
    *,
    method: str,
    focal: str,
    fps: float | None = None,
    reference: int = 0,
    known: Camera | None = None,
) -> CameraEstimate:
    """Recover the cameras of raxels [3, F, h, w], relative to frame `reference`; K is in the pixels of a video of `hw`.

    With the `known` camera of that frame they stand in its world instead, and focal "known" takes its K. ValueError
    when focal "known" has none to take, PoseRecoveryError where no camera can be read.
    """
    known = None if known is None else known.resized(hw)
    if focal == "known" and known is None:
        raise ValueError("focal known needs the known camera of the reference frame, or choose shared")
    recovered = decode_raxels(
        raxels,
        hw,
        scale=model.recipe.raxel_scale,
        method=method,
        focal=focal,
        K=known.K if known is not None and focal == "known" else None,
        reference_frame=reference,
    )
    camera = recovered.camera
    if known is not None:
        camera = replace(camera, world_from_cam=known.world_from_cam.to(camera.K) @ camera.world_from_cam)
    fps = model.recipe.fps if fps is None else fps
    return CameraEstimate(Trajectory(camera, fps=fps, unit=model.recipe.unit), raxels, recovered)


def _known_reference(sources: SourceBatch | None) -> Camera | None:
    """The camera of the earliest source, where it is known."""
    return None if sources is None or sources.camera is None else sources.camera[0, 0]


def _source_batch(sources: Sequence[Source], *, frames: int) -> SourceBatch | None:
    """One clip's sources as a batch of one, in order of time; ValueError when they do not fit a clip of `frames`."""
    if not sources:
        return None
    ordered = sorted(sources, key=lambda source: source.frame)
    for source in ordered:
        _check_source(source, frames)
    sizes = {tuple(source.image.shape[1:]) for source in ordered}
    if len(sizes) > 1:
        raise ValueError(f"the sources differ in size: {', '.join(f'{h}x{w}' for h, w in sorted(sizes))}")
    known = [source for source in ordered if source.camera is not None]
    hw = (ordered[0].image.shape[1], ordered[0].image.shape[2])
    cameras = [source.camera.resized(hw) for source in known if source.camera is not None]
    return SourceBatch(
        torch.stack([source.image for source in ordered], dim=1)[None],
        tuple(source.frame for source in ordered),
        stack(cameras)[None] if cameras else None,
        tuple(source.frame for source in known),
    )


def _check_source(source: Source, frames: int) -> None:
    """Raise ValueError unless `source` can be shown to a clip of `frames`."""
    image, frame = source.image, source.frame
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"a source image must be [3, H, W], got {tuple(image.shape)}")
    if not 0 <= frame < frames:
        raise ValueError(f"a source shows frame {frame} of a clip of {frames} frames (0 to {frames - 1})")
    _check_values(image, f"the source image of frame {frame}")
    if source.camera is not None:
        source.camera.validate()
        check_aspect(source.camera.hw, (image.shape[1], image.shape[2]))


def _check_clip(video: Tensor) -> None:
    """Raise ValueError unless `video` is one clip [3, F, H, W] of finite values."""
    if video.ndim != 4 or video.shape[0] != 3:
        raise ValueError(f"a clip must be [3, F, H, W], got {tuple(video.shape)}")
    check_frame_count(video.shape[1])
    _check_values(video, "the clip")


def _check_values(pixels: Tensor, noun: str) -> None:
    """Raise ValueError unless pixels are finite floating-point values, which in [-1, 1] bytes are not."""
    if not pixels.is_floating_point():
        raise ValueError(f"{noun} must be floating point in [-1, 1], got {pixels.dtype}")
    if not bool(torch.isfinite(pixels).all()):
        raise ValueError(f"{noun} contains NaN or infinity")


def _stage(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Count one stage of a longer run: `before` steps were done when it starts."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
