"""CO3D as it is published, and as the code of Cameras as Rays prepares it: photographs of objects with their cameras.

Two layouts: `<category>_<split>.jgz` files of prepared annotations (a box per frame) beside the data set's folders, and
the data set's own `<category>/frame_annotations.jgz`, `sequence_annotations.jgz` and `set_lists/*.json`, whose boxes
are those of the masks. Cameras are PyTorch3D's. As in the paper, sequences with cameras that are none are left out.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..geometry.pytorch3d import Pytorch3dCameras, camera_from_pytorch3d
from ..strict_json import finite_numbers, shown
from ..training.objective import batch_generator
from ..training.sparse_views import SparseViews
from ..video_io import read_image
from .config import RayDiffusionConfig
from .crops import TRAINED_PADDING, TRAINED_SHIFT, Box, box_of_mask, check_box, cropped, ndc_of_crop, square_crop

SPLITS = ("train", "test")
# The paper's limits: a sequence with a worse camera is left out whole.
_FARTHEST, _DETERMINANT, _LEAST_QUALITY = 1e5, (0.99, 1.01), 0.5
_MOST_BYTES = 4_000_000_000
# How focal lengths are counted in the data set: in half short sides, or (its first version) in half sides of each axis.
_ISOTROPIC, _BOUNDS = "ndc_isotropic", "ndc_norm_image_bounds"


class Frame(NamedTuple):
    """One photograph: its file and mask under the data set's folder, the subject's `box` where it is known, and
    PyTorch3D's numbers, focal length and principal point in the format `intrinsics`."""

    image: str
    mask: str
    box: Box | None
    rotation: tuple[float, ...]
    translation: tuple[float, ...]
    focal: tuple[float, ...]
    principal_point: tuple[float, ...]
    intrinsics: str = _ISOTROPIC


class Co3dListing(NamedTuple):
    """`sequences` by name that can be used, and `defects`: one sentence by name for what cannot."""

    sequences: Mapping[str, tuple[Frame, ...]]
    defects: Mapping[str, str]


def list_co3d(folder: Path, *, split: str = "train", annotations: Path | None = None) -> Co3dListing:
    """The sequences of a split under the data set's `folder`, with prepared files in `annotations` where they are.

    Raises ValueError where neither layout is found or a file is damaged.
    """
    if split not in SPLITS:
        raise ValueError(f"a split is one of {', '.join(SPLITS)}, got {split!r}")
    prepared = sorted((annotations or folder).glob(f"*_{split}.jgz"))
    original = sorted(folder.glob("*/frame_annotations.jgz"))
    if not prepared and not original:
        raise ValueError(f"{folder} holds no CO3D: neither *_{split}.jgz nor */frame_annotations.jgz is there")
    found: dict[str, tuple[Frame, ...]] = {}
    defects: dict[str, str] = {}
    for path in prepared or original:
        frames = _prepared(path) if prepared else _original(path, split, defects)
        for name, sequence in frames.items():
            fault = _fault(sequence)
            if fault:
                defects[name] = fault
            else:
                found[name] = tuple(sequence)
    return Co3dListing(found, defects)


def check_co3d(folder: Path, *, split: str = "train", annotations: Path | None = None) -> Co3dListing:
    """`list_co3d` after a look at the files: a sequence whose photographs or masks are missing is a defect too."""
    listing = list_co3d(folder, split=split, annotations=annotations)
    defects, found = dict(listing.defects), {}
    for name, frames in listing.sequences.items():
        missing = [f.image for f in frames if not (folder / f.image).is_file()]
        missing += [f.mask for f in frames if f.box is None and not (folder / f.mask).is_file()]
        if missing:
            defects[name] = f"{len(missing)} of its files are missing, the first {missing[0]}"
        else:
            found[name] = frames
    return Co3dListing(found, defects)


@dataclass(frozen=True)
class Co3dViews:
    """CO3D's photographs as `objective.ViewSource` takes them, with the paper's crops and their jitter."""

    config: RayDiffusionConfig
    folder: Path
    listing: Co3dListing
    seed: int = 0

    def scenes(self, number: int, count: int, views: int) -> SparseViews:
        """`count` sequences with `views` frames each, drawn by the seed and the step's number."""
        generator = batch_generator(self.seed, number)
        names = sorted(name for name, frames in self.listing.sequences.items() if len(frames) >= views)
        if not names:
            raise ValueError(f"no sequence of CO3D here has {views} photographs")
        parts = []
        for index in torch.randint(len(names), (count,), generator=generator).tolist():
            frames = self.listing.sequences[names[index]]
            chosen = torch.randperm(len(frames), generator=generator)[:views].tolist()
            parts.append([self._photograph(frames[i], generator) for i in chosen])
        images, motions, lenses, places = (
            torch.stack([torch.stack([photo[part] for photo in scene]) for scene in parts]) for part in range(4)
        )
        return SparseViews(images, Camera(motions, lenses, (self.config.image_px,) * 2), places)

    def _photograph(self, frame: Frame, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crop [3, px, px], world_from_cam, K of the crop, and where its rays pass, of a frame."""
        image = read_image(self.folder / frame.image)[0]
        hw = (image.shape[-2], image.shape[-1])
        share = torch.rand(3, generator=generator).tolist()
        padding, *shift = (
            low + (high - low) * s
            for s, (low, high) in zip(share, (TRAINED_PADDING, TRAINED_SHIFT, TRAINED_SHIFT), strict=True)
        )
        crop = square_crop(self._box(frame, hw), padding=padding, shift=(shift[0], shift[1]))
        px, grid = self.config.image_px, self.config.grid
        left, top, side = crop
        camera = frame_camera(frame, hw).cropped(top, left, (side, side)).resized((px, px))
        return cropped(image, crop, px), camera.world_from_cam, camera.K, ndc_of_crop(crop, hw, grid)

    def _box(self, frame: Frame, hw: tuple[int, int]) -> Box:
        if frame.box is not None:
            return check_box(frame.box, hw)
        mask = read_image(self.folder / frame.mask)[0]
        return box_of_mask((mask.mean(0) + 1.0) / 2.0)


def frame_camera(frame: Frame, hw: tuple[int, int]) -> Camera:
    """The camera of a frame whose photograph has `hw` pixels."""
    focal, center = (torch.tensor(numbers) for numbers in (frame.focal, frame.principal_point))
    if frame.intrinsics == _BOUNDS:
        per_axis = torch.tensor([hw[1], hw[0]]) / min(hw)
        focal, center = focal * per_axis, center * per_axis
    numbers = Pytorch3dCameras(torch.tensor(frame.rotation).view(3, 3), torch.tensor(frame.translation), focal, center)
    return camera_from_pytorch3d(numbers, hw)


def _fault(frames: Sequence[Frame]) -> str | None:
    """What is wrong with the cameras of a sequence, in words; None where nothing is."""
    if not frames:
        return "it has no frame with a subject"
    for number, frame in enumerate(frames):
        if max(map(abs, frame.translation)) > _FARTHEST:
            return f"the camera of frame {number} is farther off than {_FARTHEST:g}"
        determinant = float(torch.linalg.det(torch.tensor(frame.rotation, dtype=torch.float64).view(3, 3)))
        if not _DETERMINANT[0] <= determinant <= _DETERMINANT[1]:
            return f"the rotation of frame {number} has determinant {determinant:.3g}"
    return None


def _prepared(path: Path) -> dict[str, list[Frame]]:
    """The sequences of a prepared annotation file."""
    held = _unzipped(path)
    if not isinstance(held, dict):
        raise ValueError(f"{path.name} holds sequences by name, got {type(held).__name__}")
    return {name: [_frame(path.name, entry, entry) for entry in entries] for name, entries in held.items()}


def _original(path: Path, split: str, defects: dict[str, str]) -> dict[str, list[Frame]]:
    """The sequences of a category's own annotations that are listed in the split, bad viewpoints told in `defects`."""
    category = path.parent
    quality = {
        entry["sequence_name"]: entry.get("viewpoint_quality_score") or 0.0
        for entry in _unzipped(category / "sequence_annotations.jgz")
    }
    listed = {tuple(entry[:2]) for entry in _listed(category, split)}
    found: dict[str, list[Frame]] = {}
    for entry in _unzipped(path):
        name = entry["sequence_name"]
        if (name, entry["frame_number"]) not in listed:
            continue
        if quality.get(name, 0.0) <= _LEAST_QUALITY:
            defects[name] = (
                f"its viewpoints have a quality of {quality.get(name, 0.0):.2f}, {_LEAST_QUALITY} is the least"
            )
            continue
        files = {"filepath": entry["image"]["path"], "mask": (entry.get("mask") or {}).get("path")}
        found.setdefault(name, []).append(_frame(path.name, files, entry["viewpoint"]))
    return found


def _listed(category: Path, split: str) -> Iterator[list[Any]]:
    """The (sequence, frame number, path) of a split, from the list of few views."""
    path = category / "set_lists" / "set_lists_fewview_dev.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    yield from held.get(split, [])


def _frame(noun: str, files: Mapping[str, Any], viewpoint: Mapping[str, Any]) -> Frame:
    """One frame of an annotation file `noun`; ValueError names what it lacks."""
    image = files.get("filepath")
    if not isinstance(image, str) or Path(image).is_absolute() or ".." in Path(image).parts:
        raise ValueError(f"{noun} names a photograph {shown(image)}, a path inside the data set was expected")
    mask = files.get("mask") or image.replace("images", "masks").replace(".jpg", ".png")
    rows = viewpoint.get("R")
    rotation = [number for row in rows for number in row] if isinstance(rows, list) else rows
    box = files.get("bbox")
    return Frame(
        image,
        mask,
        None if box is None else tuple(finite_numbers(f"the box of {image}", box, 4)),  # type: ignore[arg-type]
        tuple(finite_numbers(f"R of {image}", rotation, 9)),
        tuple(finite_numbers(f"T of {image}", viewpoint.get("T"), 3)),
        tuple(finite_numbers(f"the focal length of {image}", viewpoint.get("focal_length"), 2)),
        tuple(finite_numbers(f"the principal point of {image}", viewpoint.get("principal_point"), 2)),
        viewpoint.get("intrinsics_format") or _ISOTROPIC,
    )


def _unzipped(path: Path) -> Any:
    """The JSON in a gzip file; ValueError where it is damaged or too large."""
    try:
        with gzip.open(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is not a gzip file that can be read: {error}") from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{path.name} unpacks to more than {_MOST_BYTES} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {str(error)[:100]}") from None
