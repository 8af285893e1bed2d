"""EuRoC and TUM-VI ground truth .csv: `time px py pz qw qx qy qz` and maybe velocity and biases; nanoseconds, w first.

VINS-Mono and VINS-Fusion write the same, with the velocity (vio.csv) or without (vio_loop.csv), and no heading.
The pose is that of the body (the IMU) in the world, not of a camera: the way from one to the other stands in the data
set's sensor.yaml and is not applied here. Source: The EuRoC MAV datasets, state_groundtruth_estimate0/data.csv;
https://cvg.cit.tum.de/data/datasets/visual-inertial-dataset, mocap0/data.csv. Not held: intrinsics, the picture's size.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat, row_text
from .parsing import parse_table, read_text
from .quaternions import motions_of_quaternions, order_warning
from .reading import Assumed, Reading

_COLUMNS = (8, 11, 17)
_HEADING = "#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z []"
# The beginning of a row of VINS: nanoseconds since 1970, then a comma.
_STAMP = re.compile(r"[0-9]{18,19}(?:\.[0-9]*)?[ \t]*,")


def _recognise(content: Content) -> bool:
    """17 columns, or 8 under EuRoC's own heading, or VINS's rows."""
    heading = content.beginning.partition("\n")[0].lower()
    own = 0 <= heading.find("p_rs_r_x") < heading.find("q_rs_w") < heading.find("q_rs_x")
    matrix = content.columns == 17 and content.first_rows[0][-4:] == (0.0, 0.0, 0.0, 1.0)
    vins = content.columns in (8, 11) and _STAMP.match(content.beginning) is not None
    return (content.columns == 17 and not matrix) or (content.columns == 8 and own) or vins


def _read(path: Path, assumed: Assumed) -> Reading:
    table = parse_table(read_text(path), path.name, _COLUMNS)
    rows = table.values
    order = "wxyz" if assumed.quaternions == "auto" else assumed.quaternions
    motions = motions_of_quaternions(
        rows[:, 4:8], rows[:, 1:4], order, lambda row: f"{path.name} line {table.lines[row]}"
    )
    frames = Frames(motions, times=rows[:, 0], time_unit="nanoseconds", unit="metre")
    told = f"Each row is body-to-world, the quaternion as {' '.join(order)}; nothing was inverted."
    body = (
        "the poses are those of the body (IMU): a camera is turned and moved relative to it, as sensor.yaml says (T_BS)"
    )
    unnamed = (
        "no heading names the columns: nanoseconds before commas are taken for EuRoC's and VINS's, the quaternion as "
        "w x y z; the option quaternions sets the order"
    )
    guessed = not table.heading and assumed.quaternions == "auto" and rows.shape[1] != 17
    doubts = (body, *((unnamed,) if guessed else ()), *order_warning(rows[:, 4:8], order))
    return reading_of(frames, FORMAT.name, path.name, assumed, convention=told, warnings=doubts)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    quaternions = se3.quaternion_from_rotation(trajectory.camera.rotation)
    rows = torch.cat((trajectory.camera.center, quaternions), dim=-1)
    stamps = [round(number * 1e9 / trajectory.fps) for number in trajectory.frame_numbers]
    lines = [f"{stamp},{row_text(row).replace(' ', ',')}" for stamp, row in zip(stamps, rows, strict=True)]
    write_text(path, "\n".join((_HEADING, *lines)) + "\n")
    return (path,)


FORMAT = CameraFormat(
    name="euroc",
    title="EuRoC / TUM-VI ground truth .csv (nanoseconds, w first)",
    suffix=".csv",
    patterns=("*.csv",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("K", "size", "metres"),
)
