"""A baseline from the textbook: the cameras of a clip by OpenCV's SIFT and essential matrix, one frame at a time.

It is given the true focal length, and the true distance of each camera from the first, which two views cannot tell.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..runtime.opencv import load_opencv

# D. Lowe's ratio of the best to the second-best match, and the fewest matches that a five-point solution is kept with.
_RATIO = 0.8
_FEWEST = 8
_THRESHOLD_PIXELS = 1.0


def essential_cameras(video: Tensor, truth: Camera) -> Camera:
    """Cameras [F] of a clip [3, F, H, W] in [-1, 1], frame 0 the identity; NaN where too little matches.

    Of the true cameras K and each centre's distance are taken. Source: D. Nister, PAMI 26 (2004) 756, as OpenCV has it.
    """
    cv2 = load_opencv()
    grey = ((video.mean(0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    sift = cv2.SIFT_create()
    first, *others = (sift.detectAndCompute(frame, None) for frame in grey)
    motions = [torch.eye(4, dtype=torch.float64)]
    for number, found in enumerate(others, start=1):
        distance = float(torch.linalg.vector_norm(truth.center[number] - truth.center[0]))
        motions.append(_motion(first, found, truth.K[number].double().numpy(), distance))
    return replace(truth, world_from_cam=torch.stack(motions).to(truth.world_from_cam))


def _motion(first: tuple, found: tuple, K: np.ndarray, distance: float) -> Tensor:
    """first_from_cam [4, 4] from two sets of (keypoints, descriptors); NaN where it cannot be told."""
    cv2 = load_opencv()
    unknown = torch.full((4, 4), torch.nan, dtype=torch.float64)
    a, b = _matches(first, found)
    if len(a) < _FEWEST:
        return unknown
    essential, inliers = cv2.findEssentialMat(a, b, K, cv2.RANSAC, 0.999, _THRESHOLD_PIXELS)
    if essential is None or essential.shape != (3, 3):
        return unknown
    _, rotation, direction, _ = cv2.recoverPose(essential, a, b, K, mask=inliers)
    cam_from_first = torch.eye(4, dtype=torch.float64)
    cam_from_first[:3, :3] = torch.from_numpy(rotation)
    cam_from_first[:3, 3] = distance * torch.from_numpy(direction[:, 0])
    return torch.linalg.inv(cam_from_first)


def _matches(first: tuple, found: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 2] of both pictures that match each other and nothing else as well."""
    cv2 = load_opencv()
    if first[1] is None or found[1] is None or min(len(first[1]), len(found[1])) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    pairs = cv2.BFMatcher().knnMatch(first[1], found[1], k=2)
    kept = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance]
    a = np.array([first[0][match.queryIdx].pt for match in kept]).reshape(-1, 2)
    b = np.array([found[0][match.trainIdx].pt for match in kept]).reshape(-1, 2)
    return a, b
