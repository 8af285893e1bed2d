"""Which payload is it: a value from another pack's socket is recognised by its keys and shapes, then read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..camera_io.reading import Assumed, CameraFormatError, Reading
from .camera_arrays import is_camera_arrays, read_camera_arrays
from .camera_track import is_camera_track, read_camera_track
from .camera_trajectory import is_camera_trajectory, read_camera_trajectory
from .cameractrl import is_camera_pose, is_cameractrl_rows, read_camera_pose, read_cameractrl, read_text
from .depth_geometry import (
    is_camera_params,
    is_da3,
    is_moge,
    is_vggt,
    read_camera_params,
    read_da3,
    read_moge,
    read_vggt,
)
from .load3d import is_load3d, read_load3d
from .matrices import is_extrinsics, read_extrinsics
from .payload import shape_of
from .recammaster import is_recammaster, read_recammaster
from .wan_embedding import is_wan_embedding, read_wan_embedding

AUTO = "auto"


@dataclass(frozen=True)
class Payload:
    """How one payload is told from the others and read; `without_lens` says that K has to come from elsewhere."""

    recognises: Callable[[Any], bool]
    read: Callable[..., Reading]
    without_lens: bool = False


# In the order in which they are tried; no value is recognised by two.
PAYLOADS: dict[str, Payload] = {
    "WAN_CAMERA_EMBEDDING": Payload(is_wan_embedding, read_wan_embedding),
    "CAMERACTRL_POSES": Payload(is_cameractrl_rows, read_cameractrl),
    "STRING": Payload(lambda value: isinstance(value, str), read_text),
    "CameraPose": Payload(is_camera_pose, read_camera_pose, without_lens=True),
    "CAMERAPOSES": Payload(is_recammaster, read_recammaster, without_lens=True),
    "EXTRINSICS": Payload(is_extrinsics, read_extrinsics, without_lens=True),
    "LOAD3D_CAMERA": Payload(is_load3d, read_load3d),
    "DA3_GEOMETRY": Payload(is_da3, read_da3),
    "MOGE_GEOMETRY": Payload(is_moge, read_moge),
    "CAMERA_PARAMS": Payload(is_camera_params, read_camera_params),
    "VGGT": Payload(is_vggt, read_vggt),
    "CAMERA_TRAJECTORY": Payload(is_camera_trajectory, read_camera_trajectory, without_lens=True),
    "CAMERA_TRACK": Payload(is_camera_track, read_camera_track, without_lens=True),
    "CAMERA_ARRAYS": Payload(is_camera_arrays, read_camera_arrays, without_lens=True),
}


def read_camera(value: Any, assumed: Assumed, *, read_as: str = AUTO, given: Any = None) -> Reading:
    """The trajectory in `value`, any of `PAYLOADS`, and how it was read.

    `assumed` is taken where the payload does not say; `read_as` names the payload instead of recognising it; `given`
    are INTRINSICS, for payloads without a lens. Raises CameraFormatError in one sentence.
    """
    name = recognise(value) if read_as == AUTO else read_as
    if name not in PAYLOADS:
        raise CameraFormatError(f"read_as is {AUTO} or one of {', '.join(PAYLOADS)}, got {name!r}")
    payload = PAYLOADS[name]
    if payload.without_lens:
        return payload.read(value, assumed, given)
    if given is not None:
        raise CameraFormatError(f"{name} has a lens of its own: leave intrinsics unconnected")
    return payload.read(value, assumed)


def recognise(value: Any) -> str:
    """The name of the payload that `value` is; CameraFormatError that describes it where it is none."""
    for name, payload in PAYLOADS.items():
        if payload.recognises(value):
            return name
    raise CameraFormatError(f"{_described(value)} is not a kind of camera that is known here")


def _described(value: Any) -> str:
    """A value in a few words: its type, and its keys or shape."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return f"a dict of {', '.join(sorted(str(key)[:30] for key in value)[:12]) or 'nothing'}"
    if isinstance(value, (list, tuple)):
        first = f" of {_described(value[0])}" if value and not isinstance(value[0], (list, tuple)) else ""
        return f"a {kind} of shape {list(shape_of(value))}{first}"
    shape = shape_of(value)
    return f"{kind} {value!r:.40}" if not shape else f"a {kind} of shape {list(shape)}"
