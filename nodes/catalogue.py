"""How each node is found and shown: the words artists look it up by, the experiments, the inputs that are folded away.

An older ComfyUI has no such fields; there they are left out, and the nodes are found by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from comfy_api.latest import io

_PATH = ("camera path", "camera trajectory", "camera motion")
_POSES = ("pose", "camera pose", "matchmove", "camera solve", "camera tracking", "structure from motion")
_FILES = (
    "colmap",
    "blender",
    "nuke",
    "after effects",
    "maya",
    "usd",
    "gltf",
    "nerfstudio",
    "realestate10k",
    "kitti",
    "tum",
)
_DEPTH = ("depth", "moge", "depth anything", "point cloud")

SEARCH_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "LoadRaxelModel": ("raxel", "rays as pixels", "checkpoint loader", "camera model"),
        "RaxelFitVideo": ("crop video", "resize video", "trim video", "frame rate"),
        "RaxelSources": ("reference images", "source views", "image to video"),
        "RaxelEncode": ("pluecker", "plücker", "plucker", "ray map", "raymap", "raxel"),
        "JointSampler": ("camera control", "video along a path", *_POSES[:3], "joint video and pose"),
        "RaxelsToPoses": (*_POSES, "extrinsics", "rays to camera"),
        "RaxelPoseFootage": (*_POSES, "whole clip", "long video", "image sequence", "exr"),
        "SelfConsistencyLoop": ("pose check", "consistency", "camera solve"),
        "RaxelSampler": ("joint sampler", "ksampler select"),
        "RaxelSchedule": ("sigmas", "scheduler"),
        "JoinRaxelLatent": ("nested latent", "combine latent"),
        "SplitRaxelLatent": ("nested latent", "separate latent"),
        "RaxelExampleScene": ("test scene", "sample clip", "demo"),
        "CameraTrajectoryBuilder": (
            *_PATH, "dolly", "orbit", "pan", "tilt", "crane", "boom", "truck", "zoom", "dolly zoom", "vertigo",
            "handheld", "camera shake", "keyframe", "keyframes", "bezier", "timeline", "camera editor", "camera move",
            "camera control", "shots", "lens", "focal length",
        ),
        "RaxelTrajectoryPreview": (*_PATH, "plot", "view camera path"),
        "RaxelTrajectoryInfo": (*_PATH, "speed graph", "statistics"),
        "RaxelCheckTrajectory": (*_PATH, "validate", "diagnose"),
        "RaxelOverlayAxes": ("overlay", "burn in", "check camera", "matchmove"),
        "RaxelTrajectoryGLB": (*_PATH, "3d preview", "gltf", "glb"),
        "RaxelConcatenateTrajectories": ("join camera paths", "append", "concat"),
        "RaxelBlendTrajectories": ("mix camera paths", "crossfade"),
        "RaxelComposeTrajectories": ("add camera paths", "layer", "camera shake"),
        "RaxelReverseTrajectory": ("backwards", "rewind"),
        "RaxelPingPongTrajectory": ("boomerang", "loop"),
        "RaxelTrimTrajectory": ("cut", "frame range"),
        "RaxelRetimeTrajectory": ("speed ramp", "time remap", "slow motion", "resample"),
        "RaxelSmoothTrajectory": ("stabilize", "stabilise", "filter", "denoise path"),
        "RaxelSolveCamera": (*_POSES, "colmap", "sfm", "pycolmap", "photogrammetry", "point cloud"),
        "RaxelVerifyCamera": ("check camera", "compare camera", "pose error", "slow motion", "camera ignored"),
        "RaxelScaleTrajectory": ("unit", "metres", "scene scale"),
        "RaxelReanchorTrajectory": ("origin", "first frame", "relative"),
        "RaxelAlignTrajectory": ("umeyama", "procrustes", "register"),
        "RaxelChangeIntrinsics": ("intrinsics", "focal length", "lens", "field of view", "fov", "millimetres"),
        "RaxelNearDepth": (*_DEPTH, "scene scale"),
        "RaxelWarp": (*_DEPTH, "reproject", "novel view", "parallax", "uni3c", "camera warp", "re-camera", "vid2vid"),
        "RaxelPointTracks": ("tracks", "point tracks", "wan move", "ati", "wantrack", "motion tracks", "depth"),
        "RaxelDepthPoints": ("point cloud", "colmap", "gaussian splat", "3dgs", "points3d", "depth"),
        "RaxelLoadCamera": ("load camera", "import camera", "camera file", *_POSES, *_FILES, "extrinsics"),
        "RaxelSaveCamera": ("save camera", "export camera", "camera file", *_FILES),
        "RaxelFromCamera": ("convert camera", "extrinsics", "camera matrices", "load3d", "cameractrl", "camera info"),
        "RaxelToWanCamera": ("wan fun camera", "wan camera embedding", "pluecker", "plucker", "camera control"),
        "RaxelToCameraCtrl": ("cameractrl", "animatediff", "camera poses"),
        "RaxelToReCamMaster": ("recammaster", "camera poses", "kijai"),
        "RaxelToMatrices": ("extrinsics", "intrinsics", "camera matrices", "world to camera", "w2c", "c2w"),
        "RaxelToLoad3DCamera": ("load 3d", "camera info", "render"),
        "RaxelCamerasFromRayMap": ("ray map", "raymap", "pluecker", "plucker", *_POSES[:4]),
        "RaxelRayMapFromCameras": ("ray map", "raymap", "pluecker", "plucker", "ray directions"),
        "LoadRayDiffusion": ("cameras as rays", "pose checkpoint"),
        "RayDiffusionPoses": (*_POSES, "cameras as rays", "sparse views"),
        "LoadRayPE": ("scope", "raype", "camera lora", "camera control"),
        "LoadRayPEExpert": ("scope", "raype", "wan 2.2", "high noise"),
        "ApplyRayPE": ("scope", "raype", "camera control", "wan camera", "pluecker", "plucker"),
    }
)  # fmt: skip

# The joint model that ships is a small one, made for trying the method out.
EXPERIMENTAL = frozenset({"LoadRaxelModel", "JointSampler", "RaxelsToPoses", "RaxelPoseFootage", "SelfConsistencyLoop"})

# Inputs that are right as they are for most runs.
ADVANCED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "LoadRaxelModel": ("weight_dtype",),
        "JointSampler": ("mode", "shift", "solver"),
        "RaxelsToPoses": ("method", "focal", "index"),
        "RaxelPoseFootage": ("start", "spread", "focal"),
        "RaxelSampler": ("ray_shift",),
        "CameraTrajectoryBuilder": ("depth_kind",),
        "RaxelOverlayAxes": ("depth", "ground"),
        "RaxelWarp": ("near", "far", "edge_threshold"),
        "RaxelNearDepth": ("near", "far"),
        "RaxelPointTracks": ("near", "far"),
        "RaxelDepthPoints": ("near", "far"),
        "RaxelSolveCamera": ("matching", "metres", "source"),
        "RaxelVerifyCamera": ("max_direction_degrees", "max_position", "min_speed", "max_speed", "max_focal"),
        "RaxelLoadCamera": ("track",),
        "RaxelToCameraCtrl": ("original_width", "original_height"),
        "RaxelCamerasFromRayMap": ("raxel_scale", "method"),
        "RayDiffusionPoses": ("method", "samples"),
        "LoadRayPE": ("moment_eps",),
        "LoadRayPEExpert": ("weight_dtype",),
        "ApplyRayPE": ("start_percent", "end_percent"),
    }
)

_KNOWN = frozenset(field.name for field in fields(io.Schema))


def schema(node_id: str, **values: Any) -> io.Schema:
    """ComfyUI's schema of a node, with what this catalogue says of it."""
    said = {"search_aliases": list(SEARCH_WORDS.get(node_id, ())), "is_experimental": node_id in EXPERIMENTAL}
    made = io.Schema(node_id=node_id, **{name: value for name, value in said.items() if name in _KNOWN}, **values)
    for entry in made.inputs:
        if entry.id in ADVANCED.get(node_id, ()) and hasattr(entry, "advanced"):
            entry.advanced = True
    return made
