"""Exact parameter counts of the papers' accounting, on the meta device."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from raxel_core.model.config import TINY, WAN_1_3B, WAN_14B
from raxel_core.weights.state_dict import expected_shapes, to_wan

# Table 1.5 of the paper study, row d: FFN, modulation, norm3, patch, head, time embedding and time projection.
ROW_D = re.compile(
    r"ray_(patch_embedding|head|time_embedding|time_projection)\.|blocks\.\d+\.ray_(ffn|modulation|norm3)\b"
)
ONE_ATTENTION_14B = 104_888_320


def count(shapes):
    return sum(shape.numel() for shape in shapes.values())


def parts(config):
    """Parameters of (Wan, the ray branch of row d, everything else)."""
    shapes = expected_shapes(config)
    wan = count(to_wan(shapes))
    branch = count({key: shape for key, shape in shapes.items() if ROW_D.match(key)})
    return wan, branch, count(shapes) - wan - branch


def test_14b_is_wan_plus_row_d_plus_additions():
    wan, branch, additions = parts(WAN_14B)
    assert wan == 14_288_491_584
    assert branch == 5_850_229_824
    # 40 blocks of an inter-modal norm (2 x 5120) and two gates (2 x 5120), and two modality vectors.
    assert additions == 40 * 4 * 5120 + 2 * 5120 == 829_440
    assert wan + branch + additions == 20_139_550_848


def test_1_3b_holds_all_of_wan():
    assert parts(WAN_1_3B)[0] == 1_418_996_800


def test_tiny_is_small():
    assert count(expected_shapes(TINY)) == 5_131_136


def test_new_projections_add_one_attention_per_block():
    assert parts(replace(WAN_14B, inter="new"))[2] - parts(WAN_14B)[2] == 40 * ONE_ATTENTION_14B


def test_text_projections_add_nothing():
    assert parts(replace(WAN_14B, inter="text")) == parts(WAN_14B)


def test_joint_attention_needs_no_inter_modal_stage():
    wan, branch, additions = parts(replace(WAN_14B, attention="joint"))
    assert wan == 14_288_491_584
    assert branch == 5_850_229_824 - 40 * 2 * 5120  # no norm3
    assert additions == 2 * 5120


def test_without_text_wan_loses_its_text_parts():
    # Cross-attention and its norm in 40 blocks, and the text embedding.
    wan = parts(replace(WAN_14B, text_dim=None))[0]
    assert wan == 14_288_491_584 - 40 * (ONE_ATTENTION_14B + 2 * 5120) - 47_196_160


@pytest.mark.parametrize("config", [WAN_14B, TINY])
def test_plucker_is_one_stream(config):
    shapes = expected_shapes(replace(config, ray_representation="plucker"))
    assert not [key for key in shapes if ".ray_" in key or "inter" in key]
    assert shapes["plucker_embedding.0.weight"][1] == 6
    assert shapes["ray_head.head.weight"][0] == 6 * config.patch[1] * config.patch[2]
