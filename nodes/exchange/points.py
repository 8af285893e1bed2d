"""The nodes that make points of a picture's depth: tracks for models that follow points, and a scene's points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.estimate import Estimate, as_estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.warp.depth_points import depth_points
from ...raxel_core.warp.point_tracks import ati_text, point_tracks
from .. import inputs
from ..catalogue import schema
from ..comfy_io.depth import depth_maps_of
from ..comfy_io.notice import show_on_node
from ..sockets import TRAJECTORY_CATEGORY, EstimateSocket, TrajectorySocket
from .depth import depth_report, pictures_of


class RaxelPointTracks(io.ComfyNode):
    """Depth and trajectory -> where points of the picture go, for models that follow tracks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelPointTracks",
            display_name="Raxel Point Tracks",
            category=TRAJECTORY_CATEGORY,
            description="Follows points of a picture with depth along a camera path: the tracks that Wan Move, ATI and "
            "WanTrackToVideo are guided by.",
            inputs=[
                inputs.trajectory(
                    "The cameras, of which the first took the picture, and the size of the video in pixels.",
                ),
                *inputs.depth_inputs(),
                io.Int.Input(
                    "points",
                    default=100,
                    min=1,
                    max=10000,
                    optional=True,
                    tooltip="About how many points to follow, on an even grid. More points fix the picture more "
                    "firmly and leave less to the model.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Tracks.Output(
                    display_name="tracks",
                    tooltip="For WanMoveTrackToVideo and WanMoveVisualizeTracks: pixels and visibility of every frame.",
                ),
                io.String.Output(
                    display_name="track_coords",
                    tooltip="For tracks of WanTrackToVideo and of WanVideoWrapper's ATI nodes: JSON, 121 samples a "
                    "track, ending where a point goes out of sight.",
                ),
                io.Int.Output(display_name="length", tooltip="Frames of the path."),
                io.String.Output(display_name="report", tooltip="How the depth was read, and what stays in sight."),
            ],
        )

    @classmethod
    def execute(
        cls,
        trajectory: Trajectory,
        depth: Tensor | None = None,
        geometry: Any = None,
        depth_kind: str = "disparity",
        near: float = 1.0,
        far: float = 10.0,
        points: int = 100,
    ) -> io.NodeOutput:
        seen = depth_maps_of(depth, geometry, kind=depth_kind, near=near, far=far)[0]
        tracks = point_tracks(seen, trajectory, seen.hw, count=points)
        payload = {"track_path": tracks.pixel, "track_visibility": tracks.visible}
        last = float(tracks.visible[-1].float().mean())
        report = f"{depth_report(seen)} {tracks.pixel.shape[1]} points, {last:.0%} of them in the last frame."
        show_on_node(cls, report)
        return io.NodeOutput(payload, ati_text(tracks), len(trajectory), report)


class RaxelDepthPoints(io.ComfyNode):
    """Pictures, depth and their cameras -> those cameras with the scene's points."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelDepthPoints",
            display_name="Raxel Points from Depth",
            category=TRAJECTORY_CATEGORY,
            description="Puts the points that depth shows beside the cameras, for Raxel Save Camera: a COLMAP model "
            "with points, as Gaussian splats start from.",
            inputs=[
                io.MultiType.Input(
                    "trajectory",
                    types=[TrajectorySocket, EstimateSocket],
                    tooltip="The cameras, with the lens of the pictures; depth has to be in their unit.",
                ),
                io.Image.Input(
                    "images",
                    tooltip="The picture of the first camera, or one picture for each camera. The points "
                    "take their colours from it.",
                ),
                *inputs.depth_inputs("One for each picture. "),
                io.Int.Input(
                    "points",
                    default=20000,
                    min=1,
                    max=1000000,
                    optional=True,
                    tooltip="About how many points to make in all.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                EstimateSocket.Output(display_name="estimate", tooltip="The cameras with the points."),
                io.String.Output(
                    display_name="report", tooltip="How the depth was read, and how many points there are."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        trajectory: Trajectory | Estimate,
        images: Tensor,
        depth: Tensor | None = None,
        geometry: Any = None,
        depth_kind: str = "disparity",
        near: float = 1.0,
        far: float = 10.0,
        points: int = 20000,
    ) -> io.NodeOutput:
        estimate = as_estimate(trajectory, "depth")
        depths = depth_maps_of(depth, geometry, kind=depth_kind, near=near, far=far)
        found = depth_points(pictures_of(images), depths, estimate.trajectory, count=points)
        report = f"{depth_report(depths[0], len(depths))} {len(found)} points."
        show_on_node(cls, report)
        return io.NodeOutput(replace(estimate, points=found), report)
