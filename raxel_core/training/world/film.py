"""From radiance to a frame as a camera stores it: antialiasing, light motion blur, exposure, vignette, noise, tone."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...geometry import se3
from .draws import Draws


class Film(NamedTuple):
    """The settings of B cameras."""

    gain: Tensor  # [B] of the exposure that the meter finds
    drift: Tensor  # [B] by which the exposure changes over the clip, in logarithm
    balance: Tensor  # [B, 3]
    saturation: Tensor  # [B]
    contrast: Tensor  # [B]
    vignette: Tensor  # [B]
    noise: Tensor  # [B]
    shutter: Tensor  # [B] share of the time between frames
    sharpen: Tensor  # [B]
    grain: Tensor  # [B] seed of the noise


def draw_film(draws: Draws) -> Film:
    """Cameras of B clips."""
    return Film(
        gain=draws.spread(low=0.7, high=1.45),
        drift=0.12 * draws.signed() * draws.chance(of=0.4),
        balance=1 + 0.07 * draws.signed(3),
        saturation=draws.uniform(low=0.65, high=1.2),
        contrast=draws.uniform(low=0.95, high=1.45),
        vignette=draws.uniform(low=0.0, high=0.35) * draws.chance(of=0.7),
        noise=draws.spread(low=0.002, high=0.025),
        shutter=draws.uniform(low=0.02, high=0.3),
        sharpen=draws.uniform(low=-0.1, high=0.6),
        grain=draws.whole(below=2**30).int(),
    )


def develop(light: Tensor, film: Film) -> Tensor:
    """Frames [B, 3, F, h, w] in [0, 1] of radiance of the same shape."""
    b, _, frames, h, w = light.shape

    def of(value: Tensor) -> Tensor:
        return value.reshape(b, -1, 1, 1, 1)

    # Weights of colours near Rec. 601's. The meter reads between the mean of the logarithms, which a small sun leaves
    # alone, and the mean, which it blinds.
    luminance = (light * light.new_tensor([0.25, 0.6, 0.15])[:, None, None, None]).sum(1)
    meter = (torch.log(luminance + 1e-3).mean((1, 2, 3)).exp() * luminance.mean((1, 2, 3))).sqrt()
    drift = torch.exp(film.drift[:, None] * (torch.arange(frames, device=light.device) / max(frames - 1, 1) - 0.5))
    exposed = light * of(film.balance) * of(0.32 * film.gain / meter) * drift[:, None, :, None, None]
    exposed = exposed * _vignette(film.vignette, h, w)[:, None, None]
    grey = (exposed * light.new_tensor([0.25, 0.6, 0.15])[:, None, None, None]).sum(1, keepdim=True)
    exposed = torch.lerp(grey, exposed, of(film.saturation)).clamp_min(0)
    tone = exposed * (1 + exposed / 9) / (1 + exposed)  # Reinhard's curve, white at 3
    stored = (tone * 1.28).clamp(0, 1) ** (of(film.contrast) / 2.2)
    noise = _grain(film.grain, exposed.shape, light.device) * of(film.noise)
    return (stored + noise * (0.4 + 0.6 * (1 - stored))).clamp(0, 1)


def _vignette(amount: Tensor, h: int, w: int) -> Tensor:
    """[B, h, w] factors that fall towards the corners."""
    y = (torch.arange(h, device=amount.device) + 0.5) / h * 2 - 1
    x = (torch.arange(w, device=amount.device) + 0.5) / w * 2 - 1
    square = 0.5 * (y[:, None] ** 2 + x**2)
    return 1 - amount[:, None, None] * square


def _grain(seed: Tensor, shape: torch.Size, device: torch.device | str) -> Tensor:
    """Noise [B, 3, F, h, w] of zero mean and unit deviation that depends on the seed and the place alone: an integer
    hash (C. Wellons, lowbias32), its four bytes summed."""
    count = math.prod(shape[1:])
    x = torch.arange(count, device=device, dtype=torch.int32) + seed[:, None]
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        x = (x ^ ((x >> shift) & (2 ** (32 - shift) - 1))) * factor  # products wrap at 32 bits
    x = x ^ ((x >> 16) & 0xFFFF)
    total = (x & 255) + ((x >> 8) & 255) + ((x >> 16) & 255) + ((x >> 24) & 255)
    return ((total.float() - 510) / 147.8).reshape(shape)


def antialiased(colour: Tensor, centre: Tensor, corner: Tensor) -> Tensor:
    """Pixels [N, 3, h, w] that show at their edges what lies to both sides: of colours at pixel centres, and the solids
    seen at centres and at lower right corners [N, h, w].

    A corner has the mean colour of those of the four centres around it that see the same solid (of all four where none
    does); a pixel is half its centre and an eighth each of its corners.
    """
    total, weight = torch.zeros_like(colour), torch.zeros_like(colour[:, 0])
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        same = (_next(centre, down, right) == corner).to(colour.dtype) + 1e-3
        total, weight = total + same[:, None] * _next(colour, down, right), weight + same
    corners = total / weight[:, None]
    both = corners + torch.cat([corners[..., :1, :], corners[..., :-1, :]], -2)
    return 0.5 * colour + 0.125 * (both + torch.cat([both[..., :1], both[..., :-1]], -1))


def _next(values: Tensor, down: int, right: int) -> Tensor:
    """The values of the pixel so many rows below and columns to the right; at the border the last."""
    if down:
        values = torch.cat([values[..., 1:, :], values[..., -1:, :]], -2)
    if right:
        values = torch.cat([values[..., 1:], values[..., -1:]], -1)
    return values


def screen_motion(depth: Tensor, world_from_cam: Tensor, K: Tensor) -> Tensor:
    """How far each pixel moves to the next frame (the last as the one before it), pixels: [B, F, h, w, 2].

    From depth [B, F, h, w], poses [B, F, 4, 4] and K [B, F, 3, 3]; at most as far as the picture is wide.
    """
    h, w = depth.shape[2:]
    y, x = torch.meshgrid(*(torch.arange(n, device=K.device) + 0.5 for n in (h, w)), indexing="ij")
    k = [K[..., i, j, None, None] for i, j in ((0, 0), (0, 2), (1, 1), (1, 2))]
    point = [(x - k[1]) / k[0] * depth, (y - k[3]) / k[2] * depth, depth]
    after = torch.cat([torch.arange(1, K.shape[1]), torch.tensor([max(K.shape[1] - 2, 0)])])
    motion = se3.inverse(world_from_cam[:, after]) @ world_from_cam
    m = [[motion[..., i, j, None, None] for j in range(4)] for i in range(3)]
    there = [m[i][0] * point[0] + m[i][1] * point[1] + m[i][2] * point[2] + m[i][3] for i in range(3)]
    z = there[2].clamp_min(0.02)
    k = [part[:, after] for part in k]
    moved = torch.stack([there[0] / z * k[0] + k[1] - x, there[1] / z * k[2] + k[3] - y], -1)
    return moved.clamp(-w, w)


def blurred(light: Tensor, motion: Tensor, shutter: Tensor) -> Tensor:
    """Radiance [B, 3, F, h, w] as a shutter sees it that is open for a share `shutter` [B] of the time between frames
    about each frame's own: half from the frame, a quarter from where each pixel is a third of that before and after."""
    b, c, frames, h, w = light.shape
    pictures = light.transpose(1, 2).reshape(b * frames, c, h, w)
    y, x = torch.meshgrid(*((torch.arange(n, device=light.device) + 0.5) / n * 2 - 1 for n in (h, w)), indexing="ij")
    way = (motion * shutter[:, None, None, None, None] / 3).flatten(0, 1) * light.new_tensor([2 / w, 2 / h])
    here, total = torch.stack([x, y], -1), 0.5 * pictures
    for sign in (-1.0, 1.0):
        total = total + 0.25 * torch.nn.functional.grid_sample(
            pictures, here + sign * way, padding_mode="border", align_corners=False
        )
    return total.reshape(b, frames, c, h, w).transpose(1, 2)


def sharpened(frames: Tensor, amount: Tensor) -> Tensor:
    """Frames [B, 3, F, h, w] with their local contrast raised (or lowered) by `amount` [B], in [0, 1]."""
    b, c, f, h, w = frames.shape
    padded = torch.nn.functional.pad(frames.reshape(b * c, f, h, w), (1, 1, 1, 1), mode="replicate")
    cross = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    blurred = (0.5 * frames.reshape(b * c, f, h, w) + 0.125 * cross).reshape(frames.shape)
    return (frames + amount[:, None, None, None, None] * (frames - blurred)).clamp(0, 1)
