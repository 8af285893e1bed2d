"""The pinhole camera: where it stands, how it looks, and how many pixels it has. The owner of the one convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from . import se3

# How far R^T R may be from the identity: text files with four digits pass, a scaled or sheared matrix does not.
_ORTHONORMAL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Camera:
    """One pinhole camera, or many along leading axes `...`.

    The convention, stated here and nowhere else: OpenCV axes (x right, y down, z forward); `world_from_cam`
    [..., 4, 4] takes points of the camera's frame to the world, so that its last column is the camera's centre;
    `K` [..., 3, 3] is in pixels of an image of `hw` = (height, width); pixel centres lie at +0.5 and the corners of
    the image at (0, 0) and (w, h).

    Leading axes of `world_from_cam` and `K` broadcast against each other; both are stored with the common ones. Half
    precision is stored as float32, since geometry never runs below it. Raises ValueError on wrong shapes; what the
    numbers mean is checked by `validate`.
    """

    world_from_cam: Tensor
    K: Tensor
    hw: tuple[int, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hw", check_hw(self.hw))
        _check_matrices("world_from_cam", self.world_from_cam, 4)
        _check_matrices("K", self.K, 3)
        if self.world_from_cam.device != self.K.device:
            raise ValueError(f"world_from_cam is on {self.world_from_cam.device} and K on {self.K.device}")
        dtype = torch.promote_types(self.world_from_cam.dtype, self.K.dtype)
        dtype = dtype if dtype == torch.float64 else torch.float32
        batch = _common_batch(self.world_from_cam.shape[:-2], self.K.shape[:-2])
        object.__setattr__(self, "world_from_cam", self.world_from_cam.to(dtype).expand(*batch, 4, 4))
        object.__setattr__(self, "K", self.K.to(dtype).expand(*batch, 3, 3))

    @property
    def batch_shape(self) -> torch.Size:
        """The leading axes."""
        return self.world_from_cam.shape[:-2]

    @property
    def cam_from_world(self) -> Tensor:
        """[..., 4, 4]: points of the world into the camera's frame."""
        return se3.inverse(self.world_from_cam)

    @property
    def center(self) -> Tensor:
        """[..., 3]: the camera's centre in the world, in scene units."""
        return self.world_from_cam[..., :3, 3]

    @property
    def rotation(self) -> Tensor:
        """[..., 3, 3]: directions of the camera's frame into the world; its columns are right, down and forward."""
        return self.world_from_cam[..., :3, :3]

    @property
    def focal(self) -> Tensor:
        """[..., 2]: (fx, fy) in pixels."""
        return self.K.diagonal(dim1=-2, dim2=-1)[..., :2]

    @property
    def principal_point(self) -> Tensor:
        """[..., 2]: (cx, cy) in pixels, the image's left upper corner at (0, 0)."""
        return self.K[..., :2, 2]

    @property
    def fov(self) -> Tensor:
        """[..., 2]: the full (horizontal, vertical) angle of view in radians, through the principal point."""
        size = self.K.new_tensor((self.hw[1], self.hw[0]))
        before, after = self.principal_point, size - self.principal_point
        return torch.atan2(before, self.focal) + torch.atan2(after, self.focal)

    def resized(self, hw: tuple[int, int]) -> Camera:
        """The same view in an image of `hw` = (height, width) pixels: the image's corners stay, so K scales by axis."""
        hw = check_hw(hw)
        factor = self.K.new_tensor((hw[1] / self.hw[1], hw[0] / self.hw[0], 1.0))
        return replace(self, K=self.K * factor[:, None], hw=hw)

    def cropped(self, top: int, left: int, hw: tuple[int, int]) -> Camera:
        """The view of the window of `hw` pixels whose left upper corner is (`left`, `top`); negative values pad."""
        shift = self.K.new_zeros(3, 3)
        shift[0, 2], shift[1, 2] = left, top
        return replace(self, K=self.K - shift, hw=check_hw(hw))

    def relative_to(self, reference: Camera) -> Camera:
        """The same cameras in the frame of `reference`, whose leading axes broadcast against ours."""
        ref_from_cam = se3.relative(reference.world_from_cam, self.world_from_cam)
        return replace(self, world_from_cam=ref_from_cam)

    def scaled(self, factor: float) -> Camera:
        """The same cameras in a world whose lengths are `factor` times ours: centres move, rotations and K stay."""
        if not 0.0 < factor < float("inf"):
            raise ValueError(f"a scene scale is a positive number, got {factor}")
        return replace(self, world_from_cam=se3.from_rotation_translation(self.rotation, self.center * factor))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Camera:
        """The same cameras on another device or in another dtype (float32 at least)."""
        return replace(
            self,
            world_from_cam=self.world_from_cam.to(device=device, dtype=dtype),
            K=self.K.to(device=device, dtype=dtype),
        )

    def __len__(self) -> int:
        """The size of the first leading axis; TypeError for a single camera."""
        if not self.batch_shape:
            raise TypeError("a single camera has no length")
        return self.batch_shape[0]

    def __getitem__(self, index: Any) -> Camera:
        """The cameras at `index`, which is anything a tensor over the leading axes takes; IndexError beyond them."""
        numbers = torch.arange(self.batch_shape.numel(), device=self.K.device).reshape(self.batch_shape)[index]
        return replace(
            self,
            world_from_cam=self.world_from_cam.reshape(-1, 4, 4)[numbers],
            K=self.K.reshape(-1, 3, 3)[numbers],
        )

    def validate(self) -> Camera:
        """This camera, after a check that it is one: finite, rotation orthonormal with determinant +1, focal positive.

        Raises ValueError with one sentence that names the first wrong frame and what is wrong with it.
        """
        rotation = self.rotation.double()
        identity = torch.eye(3, dtype=torch.float64, device=rotation.device)
        deviation = (rotation.mT @ rotation - identity).abs().amax((-2, -1))
        last_row = self.world_from_cam.new_tensor((0.0, 0.0, 0.0, 1.0))
        last_row_K = self.K.new_tensor((0.0, 0.0, 1.0))
        finite = self.world_from_cam.isfinite().all(-1).all(-1) & self.K.isfinite().all(-1).all(-1)
        self._require(finite, "holds NaN or infinity")
        self._require(deviation <= _ORTHONORMAL_TOLERANCE, "has a rotation that is not orthonormal")
        self._require(torch.linalg.det(rotation) > 0.0, "has a rotation that mirrors (its determinant is -1)")
        row_right = (self.world_from_cam[..., 3, :] == last_row).all(-1)
        self._require(row_right, "has a world_from_cam whose last row is not 0 0 0 1")
        row_right = (self.K[..., 2, :] == last_row_K).all(-1) & (self.K[..., 1, 0] == 0.0)
        self._require(row_right, "has a K that is not [[fx, s, cx], [0, fy, cy], [0, 0, 1]]")
        self._require((self.focal > 0.0).all(-1), "has a focal length that is not positive")
        return self

    def _require(self, good: Tensor, fault: str) -> None:
        """ValueError with `fault` and the first frame where `good` [...] is False."""
        if bool(good.all()):
            return
        index = tuple((~good).nonzero()[0].tolist())
        where = {0: "the camera", 1: f"frame {index[0] if index else 0}"}.get(len(index), f"camera {index}")
        raise ValueError(f"{where} {fault}")


def stack(cameras: Sequence[Camera]) -> Camera:
    """One `Camera` with a new first axis over `cameras`, which agree in leading axes and `hw`; ValueError otherwise."""
    if not cameras:
        raise ValueError("no camera to stack")
    sizes, batches = {camera.hw for camera in cameras}, {camera.batch_shape for camera in cameras}
    if len(sizes) > 1 or len(batches) > 1:
        raise ValueError(f"cameras of one stack agree in size and axes, got {sorted(sizes)} and {sorted(batches)}")
    return Camera(
        torch.stack([camera.world_from_cam for camera in cameras]),
        torch.stack([camera.K for camera in cameras]),
        cameras[0].hw,
    )


def K_from_fov(fov_x: Tensor | float, hw: tuple[int, int]) -> Tensor:
    """`K` [..., 3, 3] in pixels of an image of `hw`, from its horizontal angle of view `fov_x` [...] in radians.

    Pixels are square and the principal point is the image's middle. Raises ValueError unless 0 < fov_x < pi.
    """
    height, width = check_hw(hw)
    fov_x = torch.as_tensor(fov_x)
    fov_x = fov_x if fov_x.dtype == torch.float64 else fov_x.to(torch.float32)
    if not bool(((fov_x > 0.0) & (fov_x < torch.pi)).all()):
        given = fov_x.flatten().tolist()[:5]
        raise ValueError(f"a horizontal angle of view lies between 0 and pi radians, got {given}")
    focal = 0.5 * width / torch.tan(0.5 * fov_x)
    return K_from_focal(torch.stack((focal, focal), dim=-1), focal.new_tensor((0.5 * width, 0.5 * height)))


def K_from_focal(focal: Tensor, principal_point: Tensor) -> Tensor:
    """`K` [..., 3, 3] of focal lengths (fx, fy) [..., 2] and principal points (cx, cy) [..., 2], all in pixels."""
    K = torch.diag_embed(torch.cat((focal, torch.ones_like(focal[..., :1])), dim=-1))
    K[..., :2, 2] = principal_point
    return K


def check_hw(hw: Sequence[int]) -> tuple[int, int]:
    """`hw` as a tuple (height, width) of two positive whole numbers; ValueError otherwise."""
    given = tuple(hw)
    if len(given) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in given):
        raise ValueError(f"a size is (height, width) in whole positive pixels, got {given}")
    return given[0], given[1]


def _check_matrices(name: str, matrix: Tensor, size: int) -> None:
    """ValueError unless `matrix` is a floating-point tensor [..., size, size]."""
    if not isinstance(matrix, Tensor) or not matrix.is_floating_point():
        kind = matrix.dtype if isinstance(matrix, Tensor) else type(matrix).__name__
        raise ValueError(f"{name} is a floating-point tensor, got {kind}")
    if tuple(matrix.shape[-2:]) != (size, size):
        raise ValueError(f"{name} has shape [..., {size}, {size}], got {list(matrix.shape)}")


def _common_batch(a: torch.Size, b: torch.Size) -> torch.Size:
    """The leading axes both broadcast to; ValueError that names them when they do not."""
    try:
        return a if a == b else torch.broadcast_shapes(a, b)  # which is slow
    except RuntimeError as error:
        raise ValueError(f"world_from_cam has leading axes {list(a)} and K {list(b)}") from error
