"""Tensors mapped from their file: equal to safetensors' own reading, and no memory reserved for them."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.weights.checkpoint import read_header
from raxel_core.weights.tensor_map import DTYPES, map_tensors


def write(path, header, data=b""):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def mapped(path):
    return map_tensors(path, read_header(path).tensors)


def test_every_dtype_is_read_as_safetensors_reads_it(tmp_path):
    generator = torch.Generator().manual_seed(0)
    data = torch.randint(0, 2, (2, 3, 8), dtype=torch.uint8, generator=generator)
    tensors = {name: data.view(dtype).clone() for name, dtype in DTYPES.items()} | {"scalar": torch.tensor(0.375)}
    tensors |= {"empty": torch.zeros(0, 3)}
    path = tmp_path / "all.safetensors"
    save_file(tensors, path)
    read, expected = mapped(path), load_file(path)
    assert read.keys() == expected.keys()
    for key, tensor in read.items():
        assert tensor.dtype == expected[key].dtype and tensor.shape == expected[key].shape
        assert torch.equal(tensor.flatten().view(torch.uint8), expected[key].flatten().view(torch.uint8)), key


def test_tensors_that_are_not_aligned_are_read_all_the_same(tmp_path):
    data = b"\x07" + struct.pack("<2f", 1.5, -2.0)
    path = write(tmp_path / "odd.safetensors", {"a": entry("U8", [1], 0, 1), "b": entry("F32", [2], 1, 9)}, data)
    assert mapped(path)["b"].tolist() == [1.5, -2.0] and mapped(path)["a"].tolist() == [7]


def test_a_file_larger_than_the_memory_is_mapped(tmp_path):
    # 400 GB of zeros in a sparse file; a map that reserved memory would be refused.
    size = 4 * 10**11
    path = write(tmp_path / "large.safetensors", {"a": entry("F32", [size // 4], 0, size)})
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)
    tensor = mapped(path)["a"]
    assert tensor.shape == (10**11,) and tensor[-1] == 0


def test_writing_to_a_tensor_leaves_the_file_and_other_maps(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(3)}, path)
    first, second = mapped(path)["a"], mapped(path)["a"]
    first.add_(1)
    assert first.tolist() == [2, 2, 2] and second.tolist() == [1, 1, 1] and load_file(path)["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 0, 4)}, "'b' takes the bytes .*expected"),
        ({"a": entry("F32", [1], 4, 8)}, "'a' takes the bytes"),
        ({"a": entry("F32", [3], 0, 8)}, "'a' takes the bytes"),
        ({"a": entry("BF16", [2], 0, 8)}, "'a' takes the bytes"),
        ({"a": entry("F32", [1], 0, 4)}, "its tensors end at byte"),
    ],
)
def test_tensors_that_do_not_lie_side_by_side_are_refused(tmp_path, header, reason):
    with pytest.raises(ValueError, match=f"bad.safetensors cannot be read as safetensors: {reason}"):
        read_header(write(tmp_path / "bad.safetensors", header, bytes(8)))


def test_a_dtype_that_pytorch_has_not_is_named(tmp_path):
    path = write(tmp_path / "four.safetensors", {"a": entry("F4", [16], 0, 8)}, bytes(8))
    assert read_header(path).tensors["a"].shape == (16,)
    with pytest.raises(ValueError, match="four.safetensors: 'a' has dtype 'F4', which is not read"):
        mapped(path)
