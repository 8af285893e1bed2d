"""glTF 2.0, .gltf and .glb: a perspective camera on an animated node, its lens by KHR_animation_pointer; in and out.

glTF has y up, cameras that look along -z, and metres; `yfov` is the vertical angle of view, `aspectRatio` the width of
the view over its height, so that pixels that are not square are held and a principal point off the middle is not (it
is refused). Numbers of an animation are float32. Size, rate and unit stand in the camera node's extras.
Source: Khronos, glTF 2.0 specification.
"""

from __future__ import annotations

import base64
import json
from math import pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import replacing
from ..geometry import se3
from ..geometry.trajectory import UNITS, Trajectory
from .axes import from_opengl, to_opengl
from .content import Content
from .format import CameraFormat, trajectory_of
from .gltf_animation import POINTER, Channel, channels, moved_nodes
from .gltf_file import GltfFile, glb_bytes, read_gltf
from .parsing import check_frames, mapping, number, numbers, sequence, whole
from .pinhole import K_of_lens, centred
from .quaternions import continuous
from .reading import Assumed, CameraFormatError, Reading
from .tracks import chosen_track

_MOST_DEPTH = 64
_FLOAT = 5126
# How far key times may be from even steps, in steps, to be taken as frames.
_EVEN = 0.01
# Frames whose transforms are multiplied at a time: a file of two keys may stand for 100,000 frames.
_BLOCK = 4096
# Closer keys are no frames.
_MOST_RATE = 1000.0
_ASPECT_TOLERANCE = 1e-3


def _recognise(content: Content) -> bool:
    return content.head.startswith(b"glTF") or content.suffix in (".gltf", ".glb") and not content.is_folder


def _read(path: Path, assumed: Assumed) -> Reading:
    file = read_gltf(path)
    chain, camera, camera_warnings = _camera(file, assumed.track)
    moving = channels(file, _pointers(chain, camera))
    extras = file.item("nodes", chain[-1])[0].get("extras", {})
    ours = mapping(extras.get("raxel", {}) if isinstance(extras, dict) else {}, f"{path.name} extras.raxel")
    times, fps, time_note = _times(list(moving.values()), ours, path.name, assumed)
    motion = _motion(file, chain, moving, times)
    K, hw, K_note, K_warnings = _K(file, camera, moving, times, ours, assumed)
    unit, unit_note = _unit(ours, path.name)
    trajectory, mended = trajectory_of(motion, K, hw, path.name, fps=fps, unit=unit, name=str(ours.get("name", "")))
    notes = (
        f"Camera {camera} on node {chain[-1]}, with the transforms of its {len(chain) - 1} parent nodes.",
        "Transforms are camera-to-world (c2w) with y up, looking along -z; both were turned to OpenCV axes.",
        K_note,
        time_note,
        unit_note,
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, (*camera_warnings, *K_warnings))


def _camera(file: GltfFile, track: str) -> tuple[list[int], int, tuple[str, ...]]:
    """The nodes that lead to the camera called `track`, or the first that moves; its number; warnings."""
    file_name, nodes = file.path.name, sequence(file.values.get("nodes", []), f"{file.path.name} nodes")
    parents: dict[int, int] = {}
    cameras = []
    for index in range(len(nodes)):
        node, where = file.item("nodes", index)
        for child in sequence(node.get("children", []), f"{where} children"):
            parents.setdefault(whole(child, f"{where} children", most=len(nodes) - 1), index)
        if "camera" in node:
            cameras.append(index)
    if not cameras:
        raise CameraFormatError(f"{file_name} nodes: expected one with a camera, found none")
    names = [_name(file, index) for index in cameras]
    chains = [_chain(index, parents, file_name) for index in cameras]
    animated = moved_nodes(file) if len(chains) > 1 else set()
    index, warnings = chosen_track(names, track, file_name, [not animated.isdisjoint(chain) for chain in chains])
    node, where = file.item("nodes", cameras[index])
    return chains[index], whole(node["camera"], f"{where} camera"), warnings


def _chain(node: int, parents: dict[int, int], file_name: str) -> list[int]:
    """The nodes that lead to `node`, outermost first."""
    chain = [node]
    while chain[0] in parents:
        if len(chain) > _MOST_DEPTH:
            raise CameraFormatError(f"{file_name} nodes: expected nodes at most {_MOST_DEPTH} deep in each other")
        chain.insert(0, parents[chain[0]])
    return chain


def _name(file: GltfFile, index: int) -> str:
    """What a node is called; its number where it has no name."""
    name = file.item("nodes", index)[0].get("name")
    return name if isinstance(name, str) and name else f"node {index}"


def _pointers(chain: list[int], camera: int) -> set[str]:
    """What may move, as JSON pointers."""
    moved = {f"/nodes/{node}/{path}" for node in chain for path in ("translation", "rotation", "scale")}
    return moved | {_lens(camera, key) for key in ("yfov", "aspectRatio")}


def _lens(camera: int, key: str) -> str:
    return f"/cameras/{camera}/perspective/{key}"


def _times(moving: list[Channel], ours: dict[str, Any], file_name: str, assumed: Assumed) -> tuple[Tensor, float, str]:
    """The seconds [F] of the frames, frames a second, and the note that says where they come from."""
    keys = torch.cat([channel.times for channel in moving]).unique() if moving else torch.zeros(1, dtype=torch.float64)
    first, length = float(keys[0]), float(keys[-1] - keys[0])
    if "fps" in ours:
        fps, given = number(ours["fps"], f"{file_name} fps"), "from the file"
    else:
        fps, given = _even_rate(keys, assumed.rate)
    if not 1e-6 < fps < 1e6:
        raise CameraFormatError(f"{file_name} fps: expected a rate between 0 and 1e6, found {fps:g}")
    count = check_frames(int(min(length * fps + 0.5, 1e9)) + 1, file_name)
    times = _on_keys(first + torch.arange(count, dtype=torch.float64) / fps, keys, _EVEN / fps)
    return times, fps, f"Time: {fps:g} frames a second, {given}; {count} frames."


def _on_keys(times: Tensor, keys: Tensor, near: float) -> Tensor:
    """`times` [F], each moved to a key that is as `near`: float32 has rounded the keys' times."""
    after = torch.searchsorted(keys, times).clamp(max=len(keys) - 1)
    pair = torch.stack((keys[(after - 1).clamp(min=0)], keys[after]))
    nearest = pair.gather(0, (pair - times).abs().argmin(0, keepdim=True))[0]
    return torch.where((nearest - times).abs() <= near, nearest, times)


def _even_rate(keys: Tensor, fallback: float) -> tuple[float, str]:
    """The rate at which every key lies on a frame, where the smallest step of the keys is one."""
    steps = keys.diff()
    if not len(steps):
        return fallback, "assumed; nothing moves"
    span = float(keys[-1] - keys[0])
    rate = max(1.0, round(span / float(steps.min()))) / span
    rate = round(rate, 3) if abs(rate - round(rate, 3)) < 1e-5 * rate else rate
    places = (keys - keys[0]) * rate
    if rate <= _MOST_RATE and bool(((places - places.round()).abs() <= _EVEN).all()):
        return rate, "from the steps of the keys"
    return fallback, "assumed; the keys are not evenly spaced and the path was sampled between them"


def _motion(file: GltfFile, chain: list[int], moving: dict[str, Channel], times: Tensor) -> Tensor:
    """world_from_cam [F, 4, 4] of the last node: scales move what is within, then they are left out."""
    motions = []
    for block in times.split(_BLOCK):
        c2w = torch.eye(4, dtype=torch.float64).expand(len(block), 4, 4)
        for index in chain:
            c2w = c2w @ _node(file, index, moving, block)
        lengths = torch.linalg.vector_norm(c2w[:, :3, :3], dim=1, keepdim=True)
        rigid = se3.from_rotation_translation(c2w[:, :3, :3] / lengths, c2w[:, :3, 3])
        motions.append(from_opengl(rigid, up="y"))
    return torch.cat(motions)


def _node(file: GltfFile, index: int, moving: dict[str, Channel], times: Tensor) -> Tensor:
    """The local transform [F, 4, 4] of a node: its matrix, or T R S with what moves it."""
    node, where = file.item("nodes", index)
    if "matrix" in node:
        columns = torch.tensor(numbers(node["matrix"], 16, f"{where} matrix"), dtype=torch.float64)
        return columns.reshape(4, 4).T.expand(len(times), 4, 4)
    values = {}
    for path, rest in (("translation", [0.0] * 3), ("rotation", [0.0, 0.0, 0.0, 1.0]), ("scale", [1.0] * 3)):
        channel = moving.get(f"/nodes/{index}/{path}")
        fixed = numbers(node.get(path, rest), len(rest), f"{where} {path}")
        still = torch.tensor(fixed, dtype=torch.float64).expand(len(times), -1)
        values[path] = still if channel is None else channel.at(times)
    quaternion = values["rotation"][:, (3, 0, 1, 2)]
    if not bool((torch.linalg.vector_norm(quaternion, dim=-1) > 1e-6).all()):
        raise CameraFormatError(f"{where} rotation: expected a quaternion, found one of length zero")
    rotation = se3.rotation_from_quaternion(quaternion) @ torch.diag_embed(values["scale"])
    return se3.from_rotation_translation(rotation, values["translation"])


def _K(
    file: GltfFile, camera: int, moving: dict[str, Channel], times: Tensor, ours: dict[str, Any], assumed: Assumed
) -> tuple[Tensor, tuple[int, int], str, tuple[str, ...]]:
    """K [F, 3, 3], the image's size, where both come from, and warnings."""
    given, where = file.item("cameras", camera)
    if given.get("type") != "perspective":
        raise CameraFormatError(f"{where} type: expected 'perspective', found {repr(given.get('type'))[:40]}")
    lens = mapping(given.get("perspective"), f"{where} perspective", needs=("yfov",))
    named = {"width", "height"} <= ours.keys()
    size = (ours["height"], ours["width"]) if named else assumed.hw
    height, width = (whole(pixels, f"{file.path.name} size", least=1) for pixels in size)
    yfov, aspect = (
        _lens_values(moving.get(_lens(camera, key)), lens.get(key, width / height), times, f"{where} {key}")
        for key in ("yfov", "aspectRatio")
    )
    if not bool(((yfov > 0.0) & (yfov < pi) & (aspect > 0.0)).all()):
        raise CameraFormatError(f"{where}: expected yfov between 0 and pi and an aspectRatio above 0")
    fy = 0.5 * height / torch.tan(0.5 * yfov)
    oblong = bool(((aspect * height / width - 1.0).abs() > _ASPECT_TOLERANCE).any())
    fx = fy * (width / height) / aspect if named else fy
    K = K_of_lens(fx, fy, fy.new_tensor(0.5 * width), fy.new_tensor(0.5 * height))
    note = f"K: from yfov, the vertical angle of view, pixels of {width}x{height}" + ("." if named else ", assumed.")
    shown = f"aspectRatio is {float(aspect[0]):.4g}, that of the assumed size {width}x{height} another"
    warning = f"{shown}: pixels were taken as square"
    return K, (height, width), note, (warning,) if oblong and not named else ()


def _lens_values(channel: Channel | None, fixed: Any, times: Tensor, where: str) -> Tensor:
    value = number(fixed, where)
    return torch.full_like(times, value) if channel is None else channel.at(times)[:, 0]


def _unit(ours: dict[str, Any], file_name: str) -> tuple[str, str]:
    unit = ours.get("unit", "metre")
    if unit not in UNITS:
        raise CameraFormatError(f"{file_name} unit: expected one of {', '.join(UNITS)}, found {repr(unit)[:40]}")
    return unit, f"Lengths: {unit}, from the file." if "unit" in ours else "Lengths: metres, as glTF has them."


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    tracks = _tracks(trajectory, path.name)
    binary = b"".join(track.to(torch.float32).numpy().astype("<f4").tobytes() for track in tracks.values())
    values = _scene(trajectory, tracks)
    if path.suffix.lower() == ".gltf":
        uri = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
        buffers = {"buffers": [{"uri": uri, "byteLength": len(binary)}]} if binary else {}
        content = json.dumps({**values, **buffers}, allow_nan=False, indent=1).encode()
    else:
        content = glb_bytes({**values, **({"buffers": [{"byteLength": len(binary)}]} if binary else {})}, binary)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return (path,)


def _tracks(trajectory: Trajectory, file_name: str) -> dict[str, Tensor]:
    """Times in seconds and each value that changes, by JSON pointer, [F, width]; nothing for a still camera."""
    values = _values(trajectory, file_name)
    moving = {key: value for key, value in values.items() if bool((value.float() != value[0].float()).any())}
    times = torch.tensor(trajectory.frame_numbers, dtype=torch.float64)[:, None] / trajectory.fps
    if len(trajectory) > 1 and not moving:
        moving = {"/nodes/0/translation": values["/nodes/0/translation"]}
    return {"times": times, **moving} if moving else {}


def _values(trajectory: Trajectory, file_name: str) -> dict[str, Tensor]:
    fx, fy = centred(trajectory, file_name).unbind(-1)
    height, width = trajectory.camera.hw
    c2w = to_opengl(trajectory.camera.world_from_cam, up="y")
    return {
        "/nodes/0/translation": c2w[:, :3, 3],
        "/nodes/0/rotation": continuous(c2w[:, :3, :3])[:, (1, 2, 3, 0)],
        _lens(0, "yfov"): 2.0 * torch.atan2(torch.full_like(fy, 0.5 * height), fy)[:, None],
        _lens(0, "aspectRatio"): ((width / fx) / (height / fy))[:, None],
    }


def _scene(trajectory: Trajectory, tracks: dict[str, Tensor]) -> dict[str, Any]:
    """The JSON without its buffer."""
    first = {key: value[0].tolist() for key, value in _values(trajectory, "").items()}
    height, width = trajectory.camera.hw
    name = trajectory.name or "camera"
    ours = {"name": trajectory.name, "unit": trajectory.unit, "fps": trajectory.fps, "width": width, "height": height}
    node = {"name": name, "camera": 0, "extras": {"raxel": ours}}
    node |= {key: first[f"/nodes/0/{key}"] for key in ("translation", "rotation")}
    lens = {key: first[_lens(0, key)][0] for key in ("yfov", "aspectRatio")}
    scene: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Raxel"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "cameras": [{"name": name, "type": "perspective", "perspective": {**lens, "znear": 0.01}}],
    }
    if tracks:
        scene |= _animation(name, tracks)
    if any(key.startswith("/cameras") for key in tracks):
        scene["extensionsUsed"] = [POINTER]
    return scene


def _animation(name: str, tracks: dict[str, Tensor]) -> dict[str, Any]:
    """The animation with one accessor and bufferView a track, the times first."""
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    start = 0
    for track in tracks.values():
        size = 4 * track.numel()
        views.append({"buffer": 0, "byteOffset": start, "byteLength": size})
        kind = "SCALAR" if track.shape[1] == 1 else f"VEC{track.shape[1]}"
        accessors.append({"bufferView": len(accessors), "componentType": _FLOAT, "count": len(track), "type": kind})
        start += size
    seconds = tracks["times"].to(torch.float32)
    accessors[0] |= {"min": [float(seconds[0])], "max": [float(seconds[-1])]}
    moved = [key for key in tracks if key != "times"]
    samplers = [{"input": 0, "output": index, "interpolation": "LINEAR"} for index in range(1, len(tracks))]
    links = [{"sampler": index, "target": _target(key)} for index, key in enumerate(moved)]
    animations = [{"name": name, "samplers": samplers, "channels": links}]
    return {"animations": animations, "accessors": accessors, "bufferViews": views}


def _target(pointer: str) -> dict[str, Any]:
    if pointer.startswith("/nodes/0/"):
        return {"node": 0, "path": pointer.rpartition("/")[2]}
    return {"path": "pointer", "extensions": {POINTER: {"pointer": pointer}}}


FORMAT = CameraFormat(
    name="gltf",
    title="glTF camera animation .glb, .gltf (centred)",
    suffix=".glb",
    patterns=("*.glb", "*.gltf"),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("bridged gaps", "float32"),
)
