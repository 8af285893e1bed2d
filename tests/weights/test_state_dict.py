"""Names are a contract: Wan's paths, their round trip, a frozen list, and where the ray branch starts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raxel_core.model import RaxelConfig, RaxelTransformer
from raxel_core.weights import from_wan, initialize_ray_branch, to_wan
from raxel_core.weights.state_dict import expected_shapes, ray_source, wan_config

GOLDEN = Path(__file__).parents[1] / "golden" / "raxel_keys.json"
CONFIG = RaxelConfig(dim=24, ffn_dim=40, layers=2, heads=2, in_channels=3, text_dim=10, freq_dim=8)
VARIANTS = {
    "default": CONFIG,
    "without text": replace(CONFIG, text_dim=None),
    "joint": replace(CONFIG, attention="joint"),
    "new projections": replace(CONFIG, inter="new"),
    "plucker": replace(CONFIG, ray_representation="plucker"),
}


def random_wan(config=CONFIG):
    generator = torch.Generator().manual_seed(0)
    shapes = to_wan(expected_shapes(config))
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def test_names_and_shapes_are_frozen():
    # A checkpoint lives longer than the code: change this file only together with the checkpoint format's version.
    frozen = json.loads(GOLDEN.read_text())
    built = {
        name: {key: list(shape) for key, shape in expected_shapes(config).items()} for name, config in VARIANTS.items()
    }
    assert built == frozen
    assert {name: list(keys) for name, keys in built.items()} == {name: list(keys) for name, keys in frozen.items()}


def test_video_modules_have_wans_own_paths():
    layers = "self_attn.q self_attn.k self_attn.v self_attn.o cross_attn.q cross_attn.k cross_attn.v cross_attn.o"
    expected = {f"blocks.{n}.{layer}.{leaf}" for n in (0, 1) for layer in layers.split() for leaf in ("weight", "bias")}
    for n in (0, 1):
        expected |= {f"blocks.{n}.{layer}_attn.norm_{x}.weight" for layer in ("self", "cross") for x in "qk"}
        expected |= {
            f"blocks.{n}.{layer}.{leaf}" for layer in ("norm3", "ffn.0", "ffn.2") for leaf in ("weight", "bias")
        }
        expected.add(f"blocks.{n}.modulation")
    ends = "patch_embedding text_embedding.0 text_embedding.2 time_embedding.0 time_embedding.2 time_projection.1 head.head"
    expected |= {f"{layer}.{leaf}" for layer in ends.split() for leaf in ("weight", "bias")} | {"head.modulation"}
    assert set(random_wan()) == expected


def test_no_loader_takes_the_file_for_plain_wan():
    assert not [key for config in VARIANTS.values() for key in expected_shapes(config) if key.startswith("head.")]


def test_round_trip_is_the_identity_on_keys_and_tensors():
    wan = random_wan()
    back = to_wan(from_wan(wan))
    assert list(back) == list(wan)
    assert all(back[key] is wan[key] for key in wan)


def test_to_wan_takes_only_the_video_branch():
    whole = initialize_ray_branch(from_wan(random_wan()), CONFIG)
    video = to_wan(whole)
    assert set(video) == set(random_wan())
    assert set(from_wan(video)) == {
        key for key in whole if ray_source(key) is None and not re.search("gate|modality", key)
    }


def test_foreign_keys_are_named():
    wan = random_wan() | {"img_emb.proj.0.weight": torch.zeros(1), "blocks.0.cross_attn_img.k": torch.zeros(1)}
    with pytest.raises(
        ValueError, match="2 keys do not belong to Wan 2.1 T2V: blocks.0.cross_attn_img.k, img_emb.proj.0"
    ):
        from_wan(wan)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_whole_state_dict_loads_strictly(name):
    config = VARIANTS[name]
    state = initialize_ray_branch(from_wan(random_wan(config)), config)
    model = RaxelTransformer(config, device="meta")
    model.load_state_dict(state, strict=True, assign=True)
    assert list(state) == list(model.state_dict())


def test_the_ray_branch_is_copied_from_the_video_branch():
    video = from_wan(random_wan())
    kept = {key: value.clone() for key, value in video.items()}
    whole = initialize_ray_branch(video, CONFIG)
    pairs = {
        "ray_patch_embedding.weight": "patch_embedding.weight",
        "ray_time_embedding.2.bias": "time_embedding.2.bias",
        "ray_time_projection.1.weight": "time_projection.1.weight",
        "ray_head.modulation": "video_head.modulation",
        "ray_head.head.weight": "video_head.head.weight",
        "blocks.1.ray_ffn.0.weight": "blocks.1.ffn.0.weight",
        "blocks.1.ray_modulation": "blocks.1.modulation",
        "blocks.1.ray_norm3.bias": "blocks.1.norm3.bias",
        "blocks.1.inter_norm.weight": "blocks.1.norm3.weight",
    }
    for key, source in pairs.items():
        assert torch.equal(whole[key], video[source]), key
        assert whole[key].data_ptr() != video[source].data_ptr(), f"{key} shares memory with {source}"
    assert all(torch.equal(video[key], kept[key]) for key in kept)
    assert all(whole[key] is video[key] for key in video)


def test_gates_and_modality_vectors_start_at_zero():
    whole = initialize_ray_branch(from_wan(random_wan()), CONFIG)
    zero = [key for key, value in whole.items() if not value.any()]
    assert sorted(zero) == sorted(
        ["video_modality", "ray_modality"]
        + [f"blocks.{n}.{gate}" for n in (0, 1) for gate in ("inter_gate", "ray_inter_gate")]
    )


def test_norms_without_a_counterpart_start_as_plain_norms():
    config = VARIANTS["without text"]
    whole = initialize_ray_branch(from_wan(random_wan(config)), config)
    assert whole["blocks.0.inter_norm.weight"].eq(1).all() and whole["blocks.0.inter_norm.bias"].eq(0).all()
    assert whole["blocks.0.ray_norm3.weight"].eq(1).all() and whole["blocks.0.ray_norm3.bias"].eq(0).all()


def test_a_missing_or_misshapen_video_key_is_named():
    video = from_wan(random_wan())
    without = {key: value for key, value in video.items() if key != "blocks.1.ffn.0.bias"}
    with pytest.raises(ValueError, match="1 keys of the video branch are missing: blocks.1.ffn.0.bias"):
        initialize_ray_branch(without, CONFIG)
    with pytest.raises(ValueError, match=r"patch_embedding.bias has shape \(3,\), expected \(24,\)"):
        initialize_ray_branch(video | {"patch_embedding.bias": torch.zeros(3)}, CONFIG)


def test_configuration_is_read_off_the_shapes():
    assert wan_config(random_wan(), head_dim=12) == CONFIG
    with pytest.raises(ValueError, match=r"lacks patch_embedding.weight"):
        wan_config({"input_blocks.0.0.weight": torch.zeros(1)})
