"""Depth maps from files: the same numbers whatever the file, in the order of the frames; one sentence for others."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from raxel_core.films.depth_files import open_depths, read_depth

DEPTH = np.array([[1.0, 2.5, 0.0], [0.25, 4.0, 12.0]], dtype=np.float32)


def write(path):
    """DEPTH under the name of `path`, as another program writes it."""
    if path.suffix == ".png":
        cv2.imwrite(str(path), (DEPTH * 1000).astype(np.uint16))
    elif path.suffix == ".npz":
        np.savez(path, intrinsics=np.eye(3), depth=DEPTH)
    elif path.suffix == ".npy":
        np.save(path, DEPTH[..., None])
    else:
        encoder = av.CodecContext.create("exr", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 3, 2, "gbrpf32le", Fraction(1)
        frame = av.VideoFrame.from_ndarray(np.repeat(DEPTH[..., None], 3, -1), format="gbrpf32le")
        path.write_bytes(b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".exr"])
def test_a_map_is_the_same_in_every_kind_of_file(tmp_path, suffix):
    write(tmp_path / f"a{suffix}")
    torch.testing.assert_close(read_depth(tmp_path / f"a{suffix}"), torch.from_numpy(DEPTH))


def test_maps_come_in_the_order_of_the_frames(tmp_path):
    for number in (10, 2):
        np.save(tmp_path / f"f_{number}.npy", DEPTH + number)
    assert [float(read()[0, 0]) for read in open_depths(tmp_path)] == [3.0, 11.0]
    np.savez(tmp_path / "all.npz", depths=np.stack([DEPTH, DEPTH + 1]))
    assert [float(read()[0, 0]) for read in open_depths(tmp_path / "all.npz")] == [1.0, 2.0]


def test_what_is_no_depth_is_one_sentence(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((2, 3), np.uint8))
    np.savez(tmp_path / "lens.npz", intrinsics=np.eye(3))
    np.save(tmp_path / "line.npy", np.zeros(5))
    (tmp_path / "none").mkdir()
    for name, told in (
        ("grey.png", "16-bit"),
        ("lens.npz", "array called depth, only intrinsics"),
        ("none", "holds no"),
    ):
        with pytest.raises(ValueError, match=told):
            open_depths(tmp_path / name)[0]()
    with pytest.raises(ValueError, match=r"\[5\]"):
        open_depths(tmp_path / "line.npy")
    with pytest.raises(OSError, match="No such file"):
        open_depths(tmp_path / "absent.npy")
