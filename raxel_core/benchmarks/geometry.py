"""How fast cameras become raxels and rays, and raxels cameras, against other libraries in the same process.

Every figure is the shortest of several runs. A peer that is not installed is reported as skipped, never left out.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

import torch
from torch import Tensor

from ..camera_sockets.wan_embedding import wan_camera_embedding
from ..geometry import se3
from ..geometry.camera import Camera, K_from_fov
from ..geometry.pose import recover_cameras
from ..geometry.procrustes import focal_from_bundles, motion_to_bundle
from ..geometry.ray_cameras import cameras_from_ray_map
from ..geometry.ray_map import ray_map_from_cameras
from ..geometry.rays import pixel_grid
from ..geometry.trajectory import Trajectory
from ..raxels import RAXEL_SCALE, encode_raxels
from .comfyui import comfyui_folder, importable, keep_comfyui_on_the_cpu

FRAMES = 81
VIDEO_HW = (480, 832)
LATENT_HW = (60, 104)
NOISE = 0.02
# How many times as long as writing as many bytes (torch.full) the pictures of rays may take.
FILLS = 1.2
_PACK = "raxel_start_measured"


@dataclass(frozen=True)
class GeometryRow:
    """One figure: what `what` takes in `milliseconds`, and what `peer` takes for the same in the same process.

    `goal` is the figure to reach in words and `met` whether it was. A row that could not be measured has no times and
    says why in `skipped`.
    """

    what: str
    milliseconds: float | None = None
    peer: str = ""
    peer_milliseconds: float | None = None
    goal: str = ""
    met: bool | None = None
    skipped: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as long the peer takes; None where there is no peer."""
        if self.milliseconds is None or self.peer_milliseconds is None:
            return None
        return self.peer_milliseconds / self.milliseconds


def run_geometry_benchmark(*, repeats: int = 10) -> list[GeometryRow]:
    """Measure, each figure the shortest of `repeats` runs; about a minute.

    All is on one thread but the Wan camera embedding, whose 805 MB cost what new pages cost, on the process's own.
    ComfyUI's own ray code is measured when the environment variable COMFYUI_PATH names a folder that holds ComfyUI.
    """
    threads, sockets = torch.get_num_threads(), _socket_rows(repeats)
    torch.set_num_threads(1)
    try:
        return [
            *_encoding_rows(repeats),
            *sockets,
            *_recovery_rows(repeats),
            *_ray_map_rows(repeats),
            *_peer_rows(repeats),
            _start_row(),
        ]
    finally:
        torch.set_num_threads(threads)


def print_geometry_benchmark(rows: Sequence[GeometryRow]) -> None:
    """Print `rows` as a table, skipped ones with their reason."""
    width = max((len(row.what) for row in rows), default=0)
    for row in rows:
        print(f"{row.what:<{width}}  {_sentence(row)}")


def _sentence(row: GeometryRow) -> str:
    """A row's figures in words."""
    if row.milliseconds is None:
        return f"SKIPPED: {row.skipped}"
    parts = [f"{row.milliseconds:9.2f} ms"]
    if row.ratio is not None:
        parts.append(f"{row.peer} {row.peer_milliseconds:.2f} ms: {_compared_times(row.ratio)}")
    if row.goal:
        parts.append(f"goal {row.goal}: {'met' if row.met else 'NOT met'}")
    return "  |  ".join(parts)


def _compared_times(ratio: float) -> str:
    """Whose time is how many times whose, where the peer takes `ratio` times as long as we do."""
    if ratio >= 1:
        return f"theirs is {ratio:.3g} times ours"
    return f"ours is {1 / ratio:.3g} times theirs"


def _shortest(action: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the shortest of `repeats` runs of `action`, after one that does not count."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def _clip(hw: tuple[int, int]) -> Camera:
    """81 cameras [F] of a wandering clip in `hw`, the first one at the identity."""
    generator = torch.Generator().manual_seed(0)
    steps = 0.03 * torch.randn(FRAMES, 6, generator=generator)
    steps[0] = 0.0
    return Camera(se3.exp(steps.cumsum(0)), K_from_fov(torch.tensor(torch.pi / 3.0), hw), hw)


def _noisy_bundles() -> Tensor:
    """Raxel bundles [3, F, h, w] of the clip at 60 x 104 with the noise of a decoder."""
    bundles = encode_raxels(_clip(VIDEO_HW), LATENT_HW) / RAXEL_SCALE
    return bundles + NOISE * torch.randn(bundles.shape, generator=torch.Generator().manual_seed(1))


def _encoding_rows(repeats: int) -> list[GeometryRow]:
    """Raxel images of 81 frames at 480 x 832, against writing as many bytes and against ComfyUI's ray code."""
    camera, what = _clip(VIDEO_HW), f"raxel images {FRAMES} x 480 x 832"
    ours = _shortest(lambda: encode_raxels(camera, VIDEO_HW), repeats)
    full = _shortest(lambda: torch.full((3, FRAMES, *VIDEO_HW), 0.5), repeats)
    rows = [GeometryRow(what, ours, "a fresh torch.full", full, f"at most {FILLS} fills", ours <= FILLS * full)]
    comfyui, reason = _comfyui_rays()
    if comfyui is None:
        return [*rows, GeometryRow(f"{what}, ComfyUI", skipped=reason)]
    intrinsics = torch.cat((camera.focal, camera.principal_point), dim=-1)[None]
    world_from_cam = camera.world_from_cam[None].contiguous()
    theirs = _shortest(lambda: comfyui.ray_condition(intrinsics, world_from_cam, *VIDEO_HW, "cpu"), 1)
    return [*rows, _compared(what, ours, "ComfyUI's ray_condition", theirs, 20.0)]


def _socket_rows(repeats: int) -> list[GeometryRow]:
    """The Wan camera embedding of 81 frames at 480 x 832, against writing as many bytes and against ComfyUI's node."""
    trajectory, threads = Trajectory(_clip(VIDEO_HW)), torch.get_num_threads()
    what = f"WAN_CAMERA_EMBEDDING {FRAMES} x 480 x 832, {threads} thread{'s' * (threads > 1)}"
    ours = _shortest(lambda: wan_camera_embedding(trajectory), repeats)
    full = _shortest(lambda: torch.full((1, 24, (FRAMES + 3) // 4, *VIDEO_HW), 0.5), repeats)
    rows = [GeometryRow(what, ours, "a fresh torch.full", full, f"at most {FILLS} fills", ours <= FILLS * full)]
    comfyui, reason = _comfyui_rays()
    if comfyui is None:
        return [*rows, GeometryRow(f"{what}, ComfyUI", skipped=reason)]
    node, size = comfyui.WanCameraEmbedding, (VIDEO_HW[1], VIDEO_HW[0], FRAMES)
    theirs = _shortest(lambda: node.execute("Zoom In", *size), 1)
    return [*rows, _compared(what, ours, "ComfyUI's node", theirs, 20.0)]


def _comfyui_rays() -> tuple[ModuleType | None, str]:
    """ComfyUI's module of camera rays, from the folder in COMFYUI_PATH, or None and why there is none."""
    folder = comfyui_folder()
    if not folder:
        return None, "COMFYUI_PATH names no ComfyUI"
    try:
        with importable(folder):
            keep_comfyui_on_the_cpu()
            module = resolve_name("comfy_extras.nodes_camera_trajectory")
    except ImportError as error:
        return None, f"ComfyUI in COMFYUI_PATH cannot be imported ({error})"
    missing = [name for name in ("ray_condition", "WanCameraEmbedding") if not hasattr(module, name)]
    return (None, f"COMFYUI_PATH has no {', '.join(missing)}") if missing else (module, "")


def _recovery_rows(repeats: int) -> list[GeometryRow]:
    """Cameras of 81 frames at 60 x 104, both methods, with and without their uncertainty."""
    bundles = _noisy_bundles()
    center = torch.tensor((VIDEO_HW[1] / 2.0, VIDEO_HW[0] / 2.0), dtype=torch.float64)
    scale = torch.tensor((VIDEO_HW[1] / LATENT_HW[1], VIDEO_HW[0] / LATENT_HW[0]), dtype=torch.float64)
    offsets = (pixel_grid(LATENT_HW, dtype=torch.float64) * scale - center).permute(2, 0, 1)

    def closed_form() -> Tensor:
        rotation, translation = motion_to_bundle(bundles[None], bundles[None, :, 0])
        return focal_from_bundles(bundles[None], rotation, translation, offsets)

    closed = _shortest(closed_form, 3 * repeats)
    whole = _shortest(lambda: recover_cameras(bundles, VIDEO_HW, method="procrustes"), repeats)
    robust = _shortest(lambda: recover_cameras(bundles, VIDEO_HW), repeats)
    size = f"{FRAMES} frames, 60 x 104"
    return [
        _beside_scipy(f"procrustes, motion and focal, {size}", closed, bundles, 1 / 12),
        GeometryRow(f"procrustes, with covariances, {size}", whole),
        _beside_scipy(f"robust, with covariances, {size}", robust, bundles, 2),
    ]


def _beside_scipy(what: str, ours: float, bundles: Tensor, share: float) -> GeometryRow:
    """A row whose goal is at most `share` of what scipy takes for the motion alone; without a goal where it is not."""
    try:
        library = resolve_name("scipy.spatial.transform")
    except ImportError:
        return GeometryRow(what, ours)
    theirs = _shortest(_scipy(library, *_point_pairs(bundles)), 2)
    told = f"at most a {round(1 / share)}th of theirs" if share < 1 else f"at most {share:g} times theirs"
    return GeometryRow(what, ours, "scipy, motion alone", theirs, told, ours <= share * theirs)


def _point_pairs(bundles: Tensor) -> tuple[Tensor, Tensor]:
    """The points [F, N, 3] of the first bundle, once a frame, and of every bundle [3, F, h, w]."""
    points = bundles.flatten(-2).permute(1, 2, 0).contiguous()
    return points[:1].expand_as(points).contiguous(), points


def _ray_map_rows(repeats: int) -> list[GeometryRow]:
    """Cameras out of ray maps as Ray Diffusion emits them."""
    K = K_from_fov(0.6, (16, 16))
    motions = se3.exp(0.5 * torch.randn(8, 6, generator=torch.Generator().manual_seed(0)))
    ray_map = ray_map_from_cameras(Camera(motions, K, (16, 16)), (16, 16), "plucker_dm")

    def read(method: str) -> Callable[[], object]:
        return lambda: cameras_from_ray_map(ray_map, (16, 16), method=method, lens="known", K=K)

    return [
        GeometryRow(f"8 cameras from ray maps of 16x16, {method}", _shortest(read(method), repeats))
        for method in ("closed", "robust")
    ]


def _peer_rows(repeats: int) -> list[GeometryRow]:
    """The closed-form motion of 81 frames at 60 x 104 against the libraries that solve the same problem."""
    bundles = _noisy_bundles()
    ours = _shortest(lambda: motion_to_bundle(bundles[None], bundles[None, :, 0]), 3 * repeats)
    sources, points = _point_pairs(bundles)
    rows = []
    for module, name, goal, action, runs in (
        ("pytorch3d.ops", "pytorch3d", 3.0, _pytorch3d, repeats),
        ("roma", "roma", 8.0, _roma, repeats),
        ("scipy.spatial.transform", "scipy align_vectors", 40.0, _scipy, 2),
        ("evo.core.geometry", "evo umeyama_alignment", 1000.0, _evo, 1),
    ):
        what = f"procrustes, motion alone, {FRAMES} frames, 60 x 104"
        try:
            library = resolve_name(module)
        except ImportError as error:
            rows.append(GeometryRow(f"{what}, {name}", skipped=f"{name} cannot be imported ({error})"))
            continue
        rows.append(_compared(what, ours, name, _shortest(action(library, sources, points), runs), goal))
    return rows


def _compared(what: str, ours: float, peer: str, theirs: float, goal: float) -> GeometryRow:
    """A row whose goal is that the peer takes `goal` times as long."""
    return GeometryRow(
        f"{what}, {peer}", ours, peer, theirs, f"theirs at least {goal:g} times ours", theirs >= goal * ours
    )


def _pytorch3d(library: ModuleType, sources: Tensor, targets: Tensor) -> Callable[[], object]:
    return lambda: library.corresponding_points_alignment(sources, targets)


def _roma(library: ModuleType, sources: Tensor, targets: Tensor) -> Callable[[], object]:
    return lambda: library.rigid_points_registration(sources, targets)


def _scipy(library: ModuleType, sources: Tensor, targets: Tensor) -> Callable[[], object]:
    source, frames = sources[0].double().numpy(), targets.double().numpy()
    centred = source - source.mean(0)
    return lambda: [library.Rotation.align_vectors(frame - frame.mean(0), centred) for frame in frames]


def _evo(library: ModuleType, sources: Tensor, targets: Tensor) -> Callable[[], object]:
    source, frames = sources[0].double().numpy().T, targets.double().numpy().transpose(0, 2, 1)
    return lambda: [library.umeyama_alignment(source, frame) for frame in frames]


def _start_row() -> GeometryRow:
    """What the pack's own modules take to import, in a process where torch and ComfyUI's packages are loaded.

    The pack is loaded once more under another name, so that nothing that is loaded already shortens the figure; its
    nodes are part of it where COMFYUI_PATH leads to ComfyUI.
    """
    what, folder = "import of the pack", comfyui_folder()
    root = Path(__file__).resolve().parents[2]
    parts = [f"{_PACK}.raxel_core.pipeline"]
    started = time.perf_counter()
    try:
        with importable(folder), _loaded_again(root):
            if folder:
                keep_comfyui_on_the_cpu()
                resolve_name("comfy_api.latest")
                resolve_name("nodes")
                resolve_name("server")  # ComfyUI has loaded it before it looks for packs
                parts.append(f"{_PACK}.nodes")
            gc.collect()  # what others left behind is not the pack's cost
            started = time.perf_counter()
            for part in parts:
                resolve_name(part)
            taken = 1e3 * (time.perf_counter() - started)
    except ImportError as error:
        return GeometryRow(what, skipped=f"ComfyUI in COMFYUI_PATH cannot be imported ({error})")
    return GeometryRow(what + (" with its nodes" if folder else ""), taken, goal="at most 300 ms", met=taken <= 300.0)


@contextmanager
def _loaded_again(root: Path) -> Iterator[None]:
    """The pack in `root` as a second package that nothing of it has been imported from, while this lasts."""
    package = ModuleType(_PACK)
    package.__path__ = [str(root)]
    sys.modules[_PACK] = package
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name == _PACK or name.startswith(f"{_PACK}.")]:
            del sys.modules[name]
