"""Depth maps in files: .npy and .npz in metres or any other unit, 16-bit .png in millimetres, .exr as it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..camera_io.archive import npz_shapes, read_npz
from ..camera_io.frame_names import in_order
from ..camera_io.parsing import listed, read_npy
from ..camera_io.scene_points import DEPTH_ARRAYS
from ..runtime.opencv import load_opencv
from ..video_io import read_float_picture

DEPTH_SUFFIXES = (".npy", ".npz", ".png", ".exr")


def open_depths(path: Path) -> list[Callable[[], Tensor]]:
    """What reads each of the depth maps [h, w] that `path` holds, in their order: a folder of files, the frames of one
    array [F, h, w], or a single map. ValueError in one sentence where there is none."""
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in DEPTH_SUFFIXES and file.name[:1] != "."]
        if not files:
            raise ValueError(f"{path} holds no depth map ({', '.join(DEPTH_SUFFIXES)})")
        order, _ = in_order([file.name for file in files])
        return [partial(read_depth, files[index]) for index in order]
    if not path.exists():
        raise OSError(f"cannot read {path}: No such file or directory")
    if path.suffix.lower() not in (".npy", ".npz"):
        return [partial(read_depth, path)]
    maps = _maps(path)
    return [partial(maps.__getitem__, index) for index in range(len(maps))]


def read_depth(path: Path) -> Tensor:
    """The one depth map [h, w] of a file, float32."""
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        maps = _maps(path)
        if len(maps) != 1:
            raise ValueError(f"{path} holds {len(maps)} depth maps where one is expected")
        return maps[0]
    if suffix == ".exr":
        return read_float_picture(path)
    if suffix != ".png":
        raise ValueError(f"{path} is no depth map ({', '.join(DEPTH_SUFFIXES)})")
    millimetres = load_opencv().imread(str(path), load_opencv().IMREAD_UNCHANGED)
    if millimetres is None or millimetres.dtype != np.uint16 or millimetres.ndim != 2:
        raise ValueError(f"{path} is not a 16-bit picture of depths in millimetres")
    return torch.from_numpy(millimetres.astype(np.float32) / 1000.0)


def _maps(path: Path) -> Tensor:
    """[F, h, w] float32 of an array file."""
    if path.suffix.lower() == ".npy":
        depth = read_npy(path)
    else:
        shapes = npz_shapes(path)
        key = next((name for name in shapes if DEPTH_ARRAYS.fullmatch(name)), None)
        if key is None:
            raise ValueError(f"{path} holds no array called depth, only {listed(shapes) or 'none of numbers'}")
        depth = read_npz(path, key)
    depth = depth.float().squeeze(-1) if depth.ndim > 2 and depth.shape[-1] == 1 else depth.float()
    depth = depth.squeeze(0) if depth.ndim == 4 and depth.shape[0] == 1 else depth
    if depth.ndim not in (2, 3) or not depth.numel():
        raise ValueError(f"{path} holds an array {list(depth.shape)}, depth maps are [h, w] or [F, h, w]")
    return depth.reshape(-1, *depth.shape[-2:])
