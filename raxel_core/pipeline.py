"""The three tasks and the loop, each as one short function over one clip. Start reading here.

images + cameras -> raxels -> latents (two streams) -> joint denoising -> latents -> raxels -> cameras

Cameras are expressed relative to the **reference**, the camera of the earliest source, or of frame 0 where there is
none. A source may be a view beside the path, with a camera of its own. Lengths are in the unit that the model's recipe
names. The same for batches of clips is in `denoising`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .denoising import Run, SourceBatch, denoise_joint, denoise_rays, denoise_video, reference_frame, reference_of
from .framing import check_aspect
from .geometry.camera import Camera, stack
from .geometry.pose import PoseRecoveryError, RecoveredCameras
from .geometry.trajectory import Trajectory
from .latents.frames import check_frame_count
from .raxel_model import RaxelModel, embedded_models, load_model
from .raxels import decode_raxels, range_report
from .sampling import PairSchedule, Progress, camera_schedule, joint_schedule, pose_schedule

__all__ = [
    "CameraEstimate",
    "JointResult",
    "LoopResult",
    "RaxelModel",
    "Reading",
    "Settings",
    "Source",
    "Stage",
    "UnreadCamerasError",
    "close_loop",
    "embedded_models",
    "estimate_cameras",
    "generate_joint",
    "generate_video",
    "load_model",
    "read_cameras",
    "read_window",
    "self_consistency",
    "spread_frames",
    "trajectory_warnings",
]

_log = logging.getLogger(__name__)

# Of the rays of a given video, where the paper's accuracy is best.
POSE_STEPS = 2
# How many steps of a longer run were done before one of its parts, and how many there are in all.
Stage = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Source:
    """A known picture [3, H, W] in [-1, 1], the number of the frame that it shows, and its camera if that is known. A
    frame below 0 or after the clip's end is a view beside the path, which needs its camera."""

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
    """A clip was generated whose cameras cannot be read; `video` [3, F, H, W] keeps it from being lost."""

    def __init__(self, cause: PoseRecoveryError, video: Tensor) -> None:
        super().__init__(cause.frame, cause.fault)
        self.video = video


@dataclass(frozen=True, eq=False)
class Settings:
    """How clips are sampled; each task reads what concerns it.

    `steps` are those of the video and `ray_steps` those of the rays (None: 2 for pose, `sampling.joint_schedule`'s own
    for both at once, whose `mode` this is); `shift` is the flow shift of the video's schedule (None: the recipe's),
    `solver` one of `sampling.SOLVERS`, `antithetic` that of `sampling.solver_for` for the rays of a given video (None:
    the recipe's); guidance and `text` [M, text_dim] are those of `denoising.Run`, with one `seed` for the clip.
    `progress(done, total)` counts steps, `on_block(i)` is called before block i; either may raise to stop.
    """

    steps: int = 20
    ray_steps: int | None = None
    mode: str = "first"
    shift: float | None = None
    solver: str = "euler"
    antithetic: bool | None = None
    source_guidance: float = 1.0
    text_guidance: float = 1.0
    text: Tensor | None = None
    seed: int = 0
    progress: Progress | None = None
    on_block: Callable[[int], None] | None = None

    @property
    def pose_steps(self) -> int:
        """The steps of the rays where the video is given."""
        return POSE_STEPS if self.ray_steps is None else self.ray_steps

    def run(self, schedule: PairSchedule) -> Run:
        """One clip's run along `schedule`, guided by sources and text."""
        return Run(
            schedule,
            (self.seed,),
            self.solver,
            source_guidance=self.source_guidance,
            text_guidance=self.text_guidance,
            text=self.text,
            progress=self.progress,
            on_block=self.on_block,
        )

    def pose_run(self) -> Run:
        """One clip's run from its video to its rays, which nothing guides."""
        return Run(
            pose_schedule(self.pose_steps),
            (self.seed,),
            antithetic=self.antithetic,
            progress=self.progress,
            on_block=self.on_block,
        )


@dataclass(frozen=True)
class Reading:
    """How cameras are read off raxels: `method` and `focal` of `geometry.pose.recover_cameras`, and the rate `fps` of
    the path (None: the recipe's)."""

    method: str = "robust"
    focal: str = "shared"
    fps: float | None = None


_DEFAULT_SETTINGS = Settings()
_DEFAULT_READING = Reading()


def estimate_cameras(
    model: RaxelModel,
    video: Tensor,
    settings: Settings = _DEFAULT_SETTINGS,
    *,
    sources: Sequence[Source] = (),
    reading: Reading = _DEFAULT_READING,
) -> CameraEstimate:
    """Where was the camera: cameras [F] of a clip [3, F, H, W] in [-1, 1], K in its pixels.

    `sources` are frames of the clip whose camera may be known, or views beside its path. Raises ValueError for a clip
    that does not suit the model, PoseRecoveryError where no camera can be read, NonFiniteLatentsError.
    """
    _check_clip(video)
    batch = _source_batch(sources, frames=video.shape[1])
    (raxels,) = denoise_rays(model, video[None], batch, run=settings.pose_run())
    return _read_from(model, raxels, (video.shape[2], video.shape[3]), batch, reading)


def read_window(
    model: RaxelModel,
    video: Tensor,
    settings: Settings = _DEFAULT_SETTINGS,
    *,
    reading: Reading = _DEFAULT_READING,
    known: Camera | None = None,
) -> CameraEstimate:
    """The cameras of one window of a longer clip, as `estimate_cameras`, with the lens of `known` for focal "known"."""
    _check_clip(video)
    (raxels,) = denoise_rays(model, video[None], None, run=settings.pose_run())
    return read_cameras(model, raxels, (video.shape[2], video.shape[3]), reading, known=known)


def generate_video(
    model: RaxelModel, sources: Sequence[Source], trajectory: Trajectory, settings: Settings = _DEFAULT_SETTINGS
) -> Tensor:
    """What would the camera see: a clip [3, F, H, W] in [-1, 1] along a trajectory of F cameras.

    The clip has the size of the sources, or of the trajectory's images where there is none; a source shows what the
    trajectory's camera of its frame sees, or its own camera in the trajectory's world if it is no frame of it. Logs
    `trajectory_warnings`. Raises ValueError for a trajectory or sources that do not suit the model or each other,
    NonFiniteLatentsError.
    """
    trajectory.camera.validate()
    batch = _source_batch(_on_path(sources, trajectory), frames=len(trajectory))
    hw = batch.hw if batch else trajectory.camera.hw
    reference = reference_of(batch, len(trajectory))
    reference = reference if isinstance(reference, int) else reference[0]
    for warning in trajectory_warnings(model, trajectory, hw, reference=reference):
        _log.warning(warning)
    run = settings.run(camera_schedule(settings.steps, shift=model.recipe.shift(settings.shift)))
    (video,) = denoise_video(model, batch, trajectory.camera[None], hw, run=run)
    return video


def generate_joint(
    model: RaxelModel,
    sources: Sequence[Source],
    settings: Settings = _DEFAULT_SETTINGS,
    *,
    frames: int | None = None,
    hw: tuple[int, int] | None = None,
    reading: Reading = _DEFAULT_READING,
) -> JointResult:
    """Both at once: a clip of `frames` (the recipe's when None) and its cameras, from source images.

    The clip has the size of the sources, or `hw` (the recipe's when None) where there is none. Errors as in
    `estimate_cameras` and `generate_video`, but UnreadCamerasError, which holds the clip, where its cameras cannot be
    read.
    """
    frames = model.recipe.frames if frames is None else frames
    batch = _source_batch(sources, frames=frames)
    hw = batch.hw if batch else hw or model.recipe.hw
    shift = model.recipe.shift(settings.shift)
    schedule = joint_schedule(settings.steps, settings.ray_steps, mode=settings.mode, shift=shift)
    (video,), (raxels,) = denoise_joint(model, batch, frames, hw, run=settings.run(schedule))
    try:
        return JointResult(video, _read_from(model, raxels, hw, batch, reading))
    except PoseRecoveryError as error:
        raise UnreadCamerasError(error, video) from error


def self_consistency(
    model: RaxelModel,
    video: Tensor,
    settings: Settings = _DEFAULT_SETTINGS,
    *,
    source_frames: Sequence[int] | None = None,
    reading: Reading = _DEFAULT_READING,
) -> LoopResult:
    """Close the loop on a clip [3, F, H, W]: see `close_loop`.

    `source_frames` are the frames that the generation is shown, the first, middle and last when None ("Rays as
    Pixels" shows three). Errors as in `estimate_cameras` and `generate_video`, and those of `close_loop`.
    """
    _check_clip(video)
    frames = video.shape[1]
    shown = spread_frames(frames, 3) if source_frames is None else tuple(sorted(set(source_frames)))
    if not all(0 <= frame < frames for frame in shown):
        raise ValueError(f"the sources {list(shown)} are not all frames of a clip of {frames}")

    def estimate(clip: Tensor, stage: Stage) -> CameraEstimate:
        staged = replace(settings, progress=_staged(settings.progress, stage))
        return estimate_cameras(model, clip, staged, reading=reading)

    def generate(trajectory: Trajectory, stage: Stage) -> Tensor:
        sources = [Source(video[:, frame], frame) for frame in shown]
        return generate_video(model, sources, trajectory, replace(settings, progress=_staged(settings.progress, stage)))

    return close_loop(video, estimate, generate, steps=settings.steps, ray_steps=settings.pose_steps)


def close_loop(
    video: Tensor,
    estimate: Callable[[Tensor, Stage], CameraEstimate],
    generate: Callable[[Trajectory, Stage], Tensor],
    *,
    steps: int,
    ray_steps: int,
) -> LoopResult:
    """The cameras of a clip [3, F, H, W], the clip generated from them, and the cameras of that.

    `estimate(clip, stage)` takes `ray_steps` and `generate(trajectory, stage)` takes `steps` denoising steps; a stage
    says how many were done before and how many there are in all. Raises UnreadCamerasError, which holds the generated
    clip, where the cameras of that cannot be read.
    """
    total = 2 * ray_steps + steps
    first = estimate(video, (0, total))
    generated = generate(first.trajectory, (ray_steps, total))
    try:
        second = estimate(generated, (ray_steps + steps, total))
    except PoseRecoveryError as error:
        raise UnreadCamerasError(error, generated) from error
    return LoopResult(first, generated, second)


def spread_frames(frames: int, count: int) -> tuple[int, ...]:
    """`count` frame numbers from the first of `frames` to the last, as even as whole numbers allow, each once."""
    if count < 2:
        return (0,)
    return tuple(sorted({index * (frames - 1) // (count - 1) for index in range(count)}))


def trajectory_warnings(
    model: RaxelModel, trajectory: Trajectory, hw: tuple[int, int], *, reference: Camera | int = 0
) -> tuple[str, ...]:
    """What a user should know before a clip of `hw` is generated along a trajectory, a sentence each.

    Says when its lengths are in another unit than the model was trained on, and when its raxels relative to the frame
    or camera `reference` leave the range [-1, 1], with the scene scale that would fit.
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
    reading: Reading = _DEFAULT_READING,
    *,
    reference: int | None = 0,
    known: Camera | None = None,
) -> CameraEstimate:
    """Recover the cameras of raxels [3, F, h, w], relative to frame `reference`, or as they stand where it is None
    (they are relative to a source beside the path); K is in the pixels of a video of `hw`.

    With the `known` camera of the reference they stand in its world instead, and focal "known" takes its K. ValueError
    when focal "known" has none to take, PoseRecoveryError where no camera can be read.
    """
    known = None if known is None else known.resized(hw)
    if reading.focal == "known" and known is None:
        raise ValueError("focal known needs the known camera of the reference frame, or choose shared")
    recovered = decode_raxels(
        raxels,
        hw,
        scale=model.recipe.raxel_scale,
        method=reading.method,
        focal=reading.focal,
        K=known.K if known is not None and reading.focal == "known" else None,
        reference_frame=reference,
    )
    camera = recovered.camera
    if known is not None:
        camera = replace(camera, world_from_cam=known.world_from_cam.to(camera.K) @ camera.world_from_cam)
    fps = model.recipe.fps if reading.fps is None else reading.fps
    return CameraEstimate(Trajectory(camera, fps=fps, unit=model.recipe.unit), raxels, recovered)


def _read_from(
    model: RaxelModel, raxels: Tensor, hw: tuple[int, int], sources: SourceBatch | None, reading: Reading
) -> CameraEstimate:
    """The cameras of raxels that were denoised under `sources`, in the world of the earliest one's camera if known."""
    known = None if sources is None or sources.camera is None else sources.camera[0, 0]
    reference = reference_frame(sources, raxels.shape[1])
    return read_cameras(model, raxels, hw, reading, reference=reference, known=known)


def _on_path(sources: Sequence[Source], trajectory: Trajectory) -> list[Source]:
    """The sources, those that are frames of the trajectory with its camera."""
    frames = len(trajectory)
    return [
        replace(source, camera=trajectory[source.frame]) if 0 <= source.frame < frames else source for source in sources
    ]


def _source_batch(sources: Sequence[Source], *, frames: int) -> SourceBatch | None:
    """One clip's sources as a batch of one, in order of time; ValueError when they do not fit a clip of `frames`."""
    if not sources:
        return None
    ordered = sorted(sources, key=lambda source: source.frame)
    for source in ordered:
        _check_source(source, frames)
    sizes = {tuple(source.image.shape[1:]) for source in ordered}
    if len(sizes) > 1:
        raise ValueError(f"the sources differ in size: {', '.join(f'{w}x{h}' for h, w in sorted(sizes))}")
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
    if not 0 <= frame < frames and source.camera is None:
        raise ValueError(
            f"a source shows frame {frame} of a clip of {frames} frames (0 to {frames - 1}), or it is a view beside "
            "its path and needs a camera"
        )
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


def _staged(progress: Progress | None, stage: Stage) -> Progress | None:
    """Count one stage of a longer run."""
    if progress is None:
        return None
    before, total = stage
    return lambda done, _: progress(before + done, total)
