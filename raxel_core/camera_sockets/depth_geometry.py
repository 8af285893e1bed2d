"""Cameras beside depth, all of them dicts: DA3_GEOMETRY (ComfyUI), CAMERA_PARAMS (a Depth Anything 3 pack),
MOGE_GEOMETRY's intrinsics, and VGGT's predictions.

Depth Anything 3 gives world-to-camera matrices in OpenCV axes and K in pixels of the picture as its network saw it,
which is smaller than the picture in the dict. MoGe gives K as shares of the picture, and no poses. VGGT gives extrinsic
and intrinsic, or a pose_enc: a world-to-camera translation, a quaternion (x, y, z, w), and the angles of view from top
to bottom and from side to side.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry import se3
from ..geometry.camera import K_from_focal
from .payload import Lens, intrinsics, motions, motions_from_parts, numbers, reading, shape_of, sized

DA3_NAME = "DA3_GEOMETRY"
PARAMS_NAME = "CAMERA_PARAMS"
MOGE_NAME = "MOGE_GEOMETRY"
VGGT_NAME = "VGGT"
_DA3_PATCH = 14


def is_da3(value: Any) -> bool:
    """Whether `value` is a dict with depth, an image and a mode."""
    return isinstance(value, dict) and {"depth", "image", "mode"} <= value.keys()


def is_camera_params(value: Any) -> bool:
    """Whether `value` is a dict of extrinsics and intrinsics, or of one of each by name, that is no DA3_GEOMETRY."""
    named = isinstance(value, dict) and any({f"extrinsic{s}", f"intrinsic{s}"} <= value.keys() for s in ("s", ""))
    return named and not is_da3(value)


def is_vggt(value: Any) -> bool:
    """Whether `value` is a dict with encoded poses and no matrices."""
    return isinstance(value, dict) and "pose_enc" in value and not is_camera_params(value)


def is_moge(value: Any) -> bool:
    """Whether `value` is a dict with an image and MoGe's maps."""
    return isinstance(value, dict) and "image" in value and bool({"points", "mask"} & value.keys())


def read_da3(value: Any, assumed: Assumed) -> Reading:
    """The cameras of DA3_GEOMETRY, K carried to the pixels of its image; CameraFormatError where it holds none."""
    if not (isinstance(value, dict) and {"extrinsics", "intrinsics"} <= value.keys()):
        raise CameraFormatError(f"{DA3_NAME} holds no cameras: run Depth Anything 3 in multiview mode (Small or Base)")
    K = numbers(f"{DA3_NAME}'s intrinsics", value["intrinsics"], (3, 3), axes=3)
    if torch.equal(K, torch.eye(3, dtype=K.dtype).expand_as(K)):
        raise CameraFormatError(f"{DA3_NAME} holds identities in the place of cameras: the model estimated none")
    w2c = motions(DA3_NAME, value["extrinsics"])
    hw = _image_hw(DA3_NAME, value)
    seen = _seen_size(K, hw)
    K = K * K.new_tensor((hw[1] / seen[0], hw[0] / seen[1], 1.0))[:, None]
    lens = Lens(K, f"K: in pixels of the network's {seen[0]:g}x{seen[1]:g} picture, carried to {hw[1]}x{hw[0]}.")
    notes = (f"{len(w2c)} world-to-camera matrices (w2c) in OpenCV axes; each was inverted.",)
    return reading(DA3_NAME, se3.inverse(w2c), lens, replace(assumed, hw=hw), notes=notes)


def read_camera_params(value: Any, assumed: Assumed) -> Reading:
    """The cameras of a dict of extrinsics, intrinsics and image_size (height, width)."""
    if not is_camera_params(value):
        raise CameraFormatError(f"{PARAMS_NAME} is a dict of extrinsics and intrinsics")
    assumed = sized(PARAMS_NAME, value, assumed)
    plural = "s" if "extrinsics" in value else ""
    w2c = motions(PARAMS_NAME, value[f"extrinsic{plural}"])
    lens = intrinsics(f"{PARAMS_NAME}'s intrinsics", value[f"intrinsic{plural}"], assumed.hw)
    notes = (f"{len(w2c)} world-to-camera matrices (w2c) in OpenCV axes; each was inverted.",)
    return reading(PARAMS_NAME, se3.inverse(w2c), lens, assumed, notes=notes)


def read_vggt(value: Any, assumed: Assumed) -> Reading:
    """The cameras of a pose_enc [..., S, 9], for pictures as large as `images` [..., S, 3, H, W] or the assumed."""
    if not (isinstance(value, dict) and "pose_enc" in value):
        raise CameraFormatError(f"{VGGT_NAME}'s predictions hold a pose_enc")
    rows = numbers(f"{VGGT_NAME}'s pose_enc", value["pose_enc"], (9,), axes=2)
    shape = shape_of(value.get("images"))
    height, width = shape[-2:] if len(shape) >= 4 and shape[-3] == 3 and min(shape) > 0 else assumed.hw
    angles = rows[:, 7:]
    if bool(((angles <= 0.0) | (angles >= math.pi)).any()):
        raise CameraFormatError(f"{VGGT_NAME}'s angles of view lie between 0 and pi, which its pose_enc does not hold")
    try:
        rotation = se3.rotation_from_quaternion(rows[:, [6, 3, 4, 5]])
    except ValueError as error:
        raise CameraFormatError(f"{VGGT_NAME}: {error}") from error
    w2c = motions_from_parts(VGGT_NAME, rotation, rows[:, :3])
    middle = rows.new_tensor((width / 2.0, height / 2.0))
    focal = middle / (angles.flip(-1) / 2.0).tan()
    lens = Lens(K_from_focal(focal, middle.expand_as(focal)), f"K: its angles of view across {width}x{height}.")
    notes = (f"{len(w2c)} encoded poses, world-to-camera (w2c) in OpenCV axes; each was inverted.",)
    return reading(VGGT_NAME, se3.inverse(w2c), lens, replace(assumed, hw=(height, width)), notes=notes)


def read_moge(value: Any, assumed: Assumed) -> Reading:
    """One camera at the origin with MoGe's K, for one picture: of several it does not say how they lie."""
    if not (isinstance(value, dict) and "intrinsics" in value):
        raise CameraFormatError(f"{MOGE_NAME} holds no intrinsics: a panorama has none")
    hw = _image_hw(MOGE_NAME, value)
    lens = intrinsics(f"{MOGE_NAME}'s intrinsics", value["intrinsics"], hw)
    if len(lens.K) != 1:
        raise CameraFormatError(f"{MOGE_NAME} is of {len(lens.K)} pictures, whose poses it does not say: pass one")
    origin = torch.eye(4, dtype=torch.float64)[None]
    return reading(MOGE_NAME, origin, lens, replace(assumed, hw=hw), notes=("One picture; its camera is the origin.",))


def _image_hw(name: str, value: dict[str, Any]) -> tuple[int, int]:
    """(height, width) of the images [B, H, W, 3] in the dict."""
    shape = shape_of(value.get("image"))
    if len(shape) != 4 or not (shape[1] and shape[2]):
        raise CameraFormatError(f"{name} holds images [B, H, W, 3], got {list(shape)}")
    return shape[1], shape[2]


def _seen_size(K: Tensor, hw: tuple[int, int]) -> tuple[float, float]:
    """(width, height) of the picture that `K` [N, 3, 3] is in pixels of: `hw`, or one of whole patches.

    The principal point is the middle, or close to it where it is estimated too.
    """
    size = 2.0 * K[:, :2, 2].median(dim=0).values
    if bool(((size - size.new_tensor((hw[1], hw[0]))).abs() < 0.5).all()):
        return float(hw[1]), float(hw[0])
    width, height = ((size / _DA3_PATCH).round() * _DA3_PATCH).clamp(min=_DA3_PATCH).tolist()
    return width, height
