"""Rotary positions: Wan's table, real-valued places, and what makes a rotation relative."""

from __future__ import annotations

import cmath

import pytest
import torch

from raxel_core.model.rope import axis_widths, covering_positions, rotate, rotation_table, turn_pairs


def table_at(*positions, head_dim):
    """Table [1, L, 1, head_dim / 2, 2] of single tokens at (time, row, column)."""
    one = torch.ones(1, dtype=torch.float64)
    tables = [rotation_table(one[None] * t, one * y, one * x, head_dim=head_dim) for t, y, x in positions]
    return torch.cat(tables, dim=1)


@pytest.mark.parametrize(("head_dim", "widths"), [(128, (44, 42, 42)), (64, (24, 20, 20)), (6, (2, 2, 2))])
def test_axis_widths_are_wans(head_dim, widths):
    assert axis_widths(head_dim) == widths


def test_table_holds_the_angles_of_the_definition():
    # Head of 12 channels: 2 * (12 // 6) = 4 for rows and columns, 4 for time; frequencies 1 and 10000^-1/2 = 0.01.
    table = table_at((2.5, 3.0, 0.25), head_dim=12)[0, 0, 0]
    expected = [cmath.exp(1j * a) for a in (2.5, 0.025, 3.0, 0.03, 0.25, 0.0025)]
    assert torch.allclose(table, torch.tensor([[z.real, z.imag] for z in expected]), atol=1e-7, rtol=0)


def test_table_follows_time_row_column_order_of_tokens():
    table = rotation_table(torch.tensor([[0.0, 5.0]]), torch.arange(2.0), torch.arange(3.0), head_dim=64)
    assert table.shape == (1, 12, 1, 32, 2)
    assert torch.equal(table[:, 1 * 6 + 1 * 3 + 2], table_at((5.0, 1.0, 2.0), head_dim=64)[:, 0])


def test_products_depend_on_differences_only():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 48)

    def product(a, b):
        return (rotate(q, table_at(a, head_dim=48)) * rotate(k, table_at(b, head_dim=48))).sum()

    here = product((1.5, 2.0, 3.5), (0.25, 7.0, 1.0))
    there = product((11.5, 2.5, 13.5), (10.25, 7.5, 11.0))
    assert torch.allclose(here, there, atol=1e-5)
    assert not torch.allclose(here, product((2.5, 2.0, 3.5), (0.25, 7.0, 1.0)), atol=1e-3)


def test_far_positions_keep_their_precision():
    # In float32 alone the angle of position 100000 is off by 4e-3.
    table = table_at((100000.5, 0.0, 0.0), head_dim=64)[0, 0, 0, 0]
    assert table.tolist() == pytest.approx([cmath.cos(100000.5).real, cmath.sin(100000.5).real], abs=1e-7)


@pytest.mark.parametrize(
    ("tokens", "video_tokens", "first", "step"), [(4, 8, 0.5, 2.0), (8, 8, 0.0, 1.0), (2, 8, 1.5, 4.0)]
)
def test_a_coarse_token_sits_at_the_centre_of_what_it_covers(tokens, video_tokens, first, step):
    positions = covering_positions(tokens, video_tokens)
    covered = torch.arange(video_tokens, dtype=torch.float64).view(tokens, -1).mean(1)
    assert torch.equal(positions, covered)
    assert positions[0] == first and positions[1] - positions[0] == step


def test_a_grid_that_does_not_divide_spans_the_same_extent():
    # Three cells over eight: each 8/3 wide, the outer edges (-1/2 and 7 1/2) shared.
    positions = covering_positions(3, 8)
    assert positions[0] - 8 / 6 == pytest.approx(-0.5) and positions[2] + 8 / 6 == pytest.approx(7.5)


def test_rotation_keeps_length_and_dtype_and_its_argument():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 12)
    kept = x.clone()
    table = table_at((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0), head_dim=12)
    turned = rotate(x, table)
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-6) and not torch.allclose(turned, x, atol=0.1)
    assert torch.equal(x, kept)
    assert rotate(x.bfloat16(), table).dtype == torch.bfloat16


def test_real_and_complex_forms_agree():
    torch.manual_seed(0)
    x, table = torch.randn(2, 3, 4, 12), table_at((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0), head_dim=12)
    real = turn_pairs(x.unflatten(-1, (-1, 2)), table).flatten(-2)
    assert torch.allclose(rotate(x, table), real, atol=1e-6)
