"""The sockets of other packs: values worked by hand from each pack's code, ComfyUI's own node, and what is refused."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.camera_sockets.cameractrl import camera_pose, cameractrl_poses, cameractrl_text
from raxel_core.camera_sockets.load3d import load3d_camera, load3d_cameras
from raxel_core.camera_sockets.matrices import camera_matrices
from raxel_core.camera_sockets.recammaster import recammaster_poses
from raxel_core.camera_sockets.recognition import PAYLOADS, read_camera, recognise
from raxel_core.camera_sockets.wan_embedding import wan_camera_embedding
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.rays import Rays, plucker_from_rays
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from tests.in_comfy.comfy_server import comfy_roots, interpreter_of

EYE = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
# Looks to the right (columns right, down, forward are -z, y, x of the world) from (1, 2, 3).
RIGHT = [[0.0, 0, 1, 1], [0, 1, 0, 2], [-1, 0, 0, 3], [0, 0, 0, 1]]
# Its inverse: R^T, and -R^T (1, 2, 3) = (3, -2, -1).
RIGHT_W2C = [[0.0, 0, -1, 3], [0, 1, 0, -2], [1, 0, 0, -1], [0, 0, 0, 1]]
K = [[400.0, 0, 416], [0, 400, 240], [0, 0, 1]]
SIZE = (480, 832)
HERE = Assumed(hw=SIZE)


def path(motions=(EYE, RIGHT), intrinsics=K, hw=SIZE, **more):
    motions, intrinsics = torch.tensor(motions, dtype=torch.float64), torch.tensor(intrinsics, dtype=torch.float64)
    return Trajectory(Camera(motions, intrinsics, hw), **more)


def wander(frames=9, hw=(36, 64), zoom=0.0, seed=0):
    """A path that turns and moves about all axes, and zooms."""
    steps = 0.1 * torch.randn(frames, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    focal = 50.0 * (1 + zoom * torch.linspace(0, 1, frames, dtype=torch.float64))
    rows = [[[f, 0, 0.5 * hw[1] + 1], [0, f, 0.5 * hw[0] - 2], [0, 0, 1]] for f in focal.tolist()]
    return Trajectory(Camera(se3.exp(steps.cumsum(0)), torch.tensor(rows, dtype=torch.float64), hw))


def close(found, expected, tolerance=1e-9):
    expected = torch.as_tensor(np.asarray(expected), dtype=torch.float64)
    torch.testing.assert_close(torch.as_tensor(np.asarray(found)).double(), expected, atol=tolerance, rtol=tolerance)


def reads_right(reading, motions=(EYE, RIGHT)):
    close(reading.trajectory.camera.world_from_cam, motions)
    return reading.trajectory.camera


# ---- WAN_CAMERA_EMBEDDING


def test_the_rays_of_a_sideways_drive_by_hand():
    """Through pixel (0, 0) of a 4 x 2 picture with f = 2: (x, y) = ((0.5 - 2) / 2, (0.5 - 1) / 2) = (-0.75, -0.25).

    For the centre o = (t, 0, 0) the moment o x d is (0, -t dz, t dy). Frame 4 j - 3 + s is subframe s of group j > 0.
    """
    motions = torch.eye(4).repeat(5, 1, 1)
    motions[:, 0, 3] = torch.arange(5.0) + 7.0
    camera = Camera(motions, torch.tensor([[2.0, 0, 2], [0, 2, 1], [0, 0, 1]]), (2, 4))
    found = wan_camera_embedding(Trajectory(camera))
    assert found.shape == (1, 24, 2, 2, 4)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    d = torch.tensor([-0.75, -0.25, 1.0]) / math.sqrt(1.625)
    for group, part, t in ((0, 0, 0.0), (0, 3, 0.0), (1, 0, 1.0), (1, 2, 3.0), (1, 3, 4.0)):
        line = torch.stack((torch.tensor(0.0), -t * d[2], t * d[1], *d))
        torch.testing.assert_close(found[0, part::4, group, 0, 0], line)


COMFYUI = """
import json, sys
root, out, jobs = sys.argv[1:]
sys.argv = sys.argv[:1]
sys.path.insert(0, root)
import comfy.cli_args
comfy.cli_args.args.cpu = True
import torch
from safetensors.torch import save_file
from comfy_extras.nodes_camera_trajectory import WanCameraEmbedding, process_pose_params
made = {}
for name, (width, height, rows) in json.load(open(jobs)).items():
    if isinstance(rows, dict):
        made[name] = WanCameraEmbedding.execute(width=width, height=height, **rows).args[0]
    else:
        made[name] = process_pose_params(rows, width=width, height=height)
save_file({name: tensor.contiguous() for name, tensor in made.items()}, out)
"""


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory):
    """What ComfyUI's own code makes of moves by name, or of rows with a 4 x 4 camera-to-world matrix at their end."""
    root = next(iter(comfy_roots()), None)
    python = interpreter_of(root) if root else None
    if python is None:
        pytest.skip("no ComfyUI with a Python of its own: set COMFYUI_PATH to compare with its node")
    jobs = {name: (160, 90, {"camera_pose": name, "length": 9, "fx": 0.5, "fy": 8 / 9}) for name in MOVES}
    for name, path in PATHS.items():
        rows = np.array(cameractrl_poses(path, None if name == "16:9" else (720, 1280)))[:, :7]
        matrices = path.camera.world_from_cam.flatten(1).numpy()
        jobs[name] = (path.camera.hw[1], path.camera.hw[0], np.concatenate((rows, matrices), axis=1).tolist())
    folder = tmp_path_factory.mktemp("comfyui")
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [str(python), "-W", "ignore", "-c", COMFYUI, str(root), folder / "made.safetensors", folder / "jobs.json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return load_file(folder / "made.safetensors")


# Camera-to-world of frame i of n: i / n of three units forward, 1.5 to the right, or a turn of 60 degrees about z.
MOVES = {
    "Zoom In": lambda share: (0.0, (0.0, 0.0, 3.0 * share)),
    "Pan Right": lambda share: (0.0, (1.5 * share, 0.0, 0.0)),
    "ClockWise (CW)": lambda share: (math.pi / 3 * share, (0.0, 0.0, 0.0)),
}
PATHS = {"16:9": wander(hw=(90, 160)), "5:3": wander(hw=(48, 80), seed=1), "upright": wander(hw=(80, 48), seed=2)}


@pytest.mark.parametrize("name", MOVES)
def test_comfyuis_own_node_agrees_where_its_assumption_holds(comfyui, name):
    """In 16:9 its rescaling from 1280 x 720 changes nothing: fx = 0.5 W and fy = 8/9 H are square pixels."""
    motions = []
    for frame in range(9):
        angle, center = MOVES[name](frame / 9)
        rotation = se3.rotation_z(torch.tensor(angle, dtype=torch.float64))
        motions.append(se3.from_rotation_translation(rotation, torch.tensor(center, dtype=torch.float64)).tolist())
    mine = wan_camera_embedding(path(motions, [[80.0, 0, 80], [0, 80, 45], [0, 0, 1]], (90, 160)))
    torch.testing.assert_close(mine, comfyui[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PATHS)
def test_comfyuis_ray_code_agrees_on_any_path_and_aspect(comfyui, name):
    """In other aspects it needs rows for an original of 1280 x 720: then it ends at the path's own focal length."""
    lines = comfyui[name].permute(3, 0, 1, 2)  # [6, F, H, W]
    grouped = torch.cat((lines[:, :1].expand(-1, 3, -1, -1), lines), dim=1).unflatten(1, (3, 4))
    expected = grouped.transpose(1, 2).flatten(0, 1)[None]
    torch.testing.assert_close(wan_camera_embedding(PATHS[name]), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("zoom", "hw"), [(0.0, None), (0.5, None), (0.5, (72, 128))])
def test_every_frame_holds_the_lines_of_its_own_camera(zoom, hw):
    trajectory = wander(zoom=zoom)
    before = trajectory.camera.world_from_cam.clone()
    found = wan_camera_embedding(trajectory, hw)
    relative = trajectory.relative_to(0).camera
    lines = plucker_from_rays(Rays.from_camera(relative, hw))
    expected = torch.cat((lines.moment, lines.direction), dim=-1)[[0, 0, 0, *range(9)]].movedim(-1, 0)
    torch.testing.assert_close(found[0], expected.unflatten(1, (3, 4)).transpose(1, 2).flatten(0, 1).float())
    assert torch.equal(before, trajectory.camera.world_from_cam)


@pytest.mark.parametrize("zoom", [0.0, 0.5])
def test_cameras_are_fitted_to_rays(zoom):
    trajectory = wander(zoom=zoom)
    reading = read_camera(wan_camera_embedding(trajectory), HERE)
    camera, truth = reading.trajectory.camera, trajectory.relative_to(0).camera
    assert camera.hw == (36, 64)
    close(camera.world_from_cam, truth.world_from_cam, 1e-5)
    close(camera.K, truth.K, 1e-4)
    assert "fitted to the rays" in reading.text


# ---- CameraCtrl


def test_rows_of_a_camera_that_looks_right_by_hand():
    rows = cameractrl_poses(path(fps=25.0))
    close(rows[1][:5], [40000, 400 / 832, 400 / 480, 0.5, 0.5])
    assert rows[1][5:7] == [832, 480]  # AnimateDiff-Evolved divides one by the other
    close(rows[1][7:], RIGHT_W2C[0] + RIGHT_W2C[1] + RIGHT_W2C[2])
    text = json.loads(cameractrl_text(path(fps=25.0)))
    assert [row[:4] + row[6:] for row in text] == [row[1:5] + row[7:] for row in rows]
    assert text[1][4:6] == [0, 0]
    matrices = camera_pose(path())
    assert isinstance(matrices, np.ndarray)
    close(matrices[1], RIGHT_W2C[:3])


def test_rows_for_an_original_of_1280_by_720_by_hand():
    """A consumer widens 832 x 480 to 480 * 16 / 9 = 853.33 and takes fx of that; cx stays a share of 832."""
    row = cameractrl_poses(path(), (720, 1280))[0]
    close(row[1:7], [400 / (480 * 16 / 9), 400 / 480, 0.5, 0.5, 1280, 720])
    upright = cameractrl_poses(path(intrinsics=[[400.0, 0, 240], [0, 400, 416], [0, 0, 1]], hw=(832, 480)), (720, 1280))
    close(upright[0][1:5], [400 / (832 * 16 / 9), 400 / 832, 0.5, 0.5])


ADE = [0, 0.474812461, 0.844111024, 0.5, 0.5, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, -1.5]


def test_animatediff_evolveds_default_lens_is_that_of_16_to_9():
    """Its zoom in has t = (0, 0, -1.5) in world-to-camera: the camera is 1.5 ahead."""
    reading = read_camera([ADE], Assumed(hw=(720, 1280)))
    close(reading.trajectory.camera.center, [[0, 0, 1.5]])
    close(reading.trajectory.camera.focal, [[0.474812461 * 1280, 0.844111024 * 720]])
    assert reading.warnings == ()
    (warning,) = read_camera([ADE], HERE).warnings
    assert "not square in 832x480 but would be in 853x480" in warning


def test_the_originals_size_in_rows_is_cropped_to_the_video():
    """The default lens in 16:9 is f = 480 * 16 / 9 * 0.4748 = 405.17 in a picture 480 high, whatever its width."""
    named = [*ADE[:5], 1280, 720, *ADE[7:]]
    reading = read_camera([named, named], HERE)
    close(
        reading.trajectory.camera.K[1], [[480 * 16 / 9 * 0.474812461, 0, 416], [0, 480 * 0.844111024, 240], [0, 0, 1]]
    )
    assert reading.warnings == ()
    assert "shares of a picture of 1280x720" in reading.text
    (warning,) = read_camera([[*ADE[:5], 0.01, 0, *ADE[7:]]], Assumed(hw=(720, 1280))).warnings
    assert "distortion" in warning


@pytest.mark.parametrize("original", [None, (720, 1280), (1000, 300)])
def test_rows_for_any_original_are_read_back(original):
    close(read_camera(cameractrl_poses(path(), original), HERE).trajectory.camera.K, [K, K])


def test_rows_in_pixels_are_told_by_their_principal_point():
    row = [0, 400, 400, 416, 240, 0, 0, *ADE[7:]]
    reading = read_camera([row], HERE)
    close(reading.trajectory.camera.K, [K])
    assert "K: in pixels of 832x480." in reading.notes
    (warning,) = read_camera([row], Assumed(hw=(240, 416))).warnings
    assert "in the middle of 832x480" in warning


@pytest.mark.parametrize("write", [cameractrl_poses, cameractrl_text])
def test_rows_are_read_as_world_to_camera(write):
    close(reads_right(read_camera(write(path()), HERE)).K, [K, K])


def test_text_may_be_our_own_path():
    text = path_to_json(path(fps=12.0, unit="metre"))
    reading = read_camera(text, HERE)
    assert (reading.trajectory.fps, reading.trajectory.unit) == (12.0, "metre")
    reads_right(reading)


# ---- The size that intrinsics beside bare matrices tell


def test_our_own_matrices_come_back_in_the_size_of_their_path():
    """96x160 with K in the middle of it, while the widgets stand at 832x480: 60 degrees stay 60."""
    given = make_move("orbit", 5, hw=(96, 160), amount=0.5, fov_degrees=60.0)
    w2c, K_given = camera_matrices(given)
    read = read_camera(w2c, HERE, given=K_given)
    assert read.trajectory.camera.hw == (96, 160)
    assert math.degrees(float(read.trajectory.camera.fov[0, 0])) == pytest.approx(60.0, abs=1e-3)
    assert "K: in pixels of 160x96, twice its principal point." in read.notes and read.warnings == ()


@pytest.mark.parametrize("middle", [(415.3, 241.2), (415.5, 239.5)])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (832.0, 480.0)])
def test_a_calibrated_middle_or_shares_tell_no_size_and_the_assumed_one_is_named(middle, scale):
    given = torch.eye(3)
    given[:2, 2] = torch.tensor(middle) / torch.tensor(scale)
    read = read_camera(torch.eye(4).expand(2, 4, 4), HERE, given=given)
    assert read.trajectory.camera.hw == (480, 832)
    assert any(note.startswith("K: in ") and note.endswith("832x480, assumed.") for note in read.notes)


# ---- ReCamMaster


def test_recammaster_takes_centimetres_forward_right_and_up():
    """OpenCV's (x, y, z) = (right, down, forward) metres: (1, 2, 3) is 300 forward, 100 right and 200 down.

    Looking right, forward is Unreal's y, right is -x, up stays z: these are the columns.
    """
    found = recammaster_poses(path([EYE, EYE, EYE, EYE, RIGHT]))
    close(found[0], EYE)
    close(found[1], [[0, -1, 0, 300], [1, 0, 0, 100], [0, 0, 1, -200], [0, 0, 0, 1]])
    close(recammaster_poses(path([EYE, EYE, EYE, EYE, RIGHT]), 0.5)[1, :3, 3], [150, 50, -100])


def test_recammasters_consumer_ends_at_our_relative_poses():
    """It takes columns 1 2 0 3, negates the second, divides lengths by 100 and makes all relative to the first."""
    trajectory = wander()
    columns = recammaster_poses(trajectory)[:, :, [1, 2, 0, 3]] * [1, -1, 1, 1]
    columns[:, :3, 3] /= 100
    close(np.linalg.inv(columns[0]) @ columns, trajectory.relative_to(0).camera.world_from_cam[::4])


def test_the_orbit_of_kijais_node_is_read_by_hand():
    """Its quarter orbit about (3390, 1380, 240) cm stands 1 cm before the centre, first looking along x, then along y.

    From the first camera it moved 1 cm forward and 1 cm to the left, and it looks to the right.
    """
    first = [[1, 0, 0, 3389], [0, 1, 0, 1380], [0, 0, 1, 240], [0, 0, 0, 1]]
    last = [[0, -1, 0, 3390], [1, 0, 0, 1379], [0, 0, 1, 240], [0, 0, 0, 1]]
    reading = read_camera(np.array([first, last], dtype=float), HERE)
    assert len(reading.trajectory) == 5
    assert reading.trajectory.unit == "metre"
    camera = reading.trajectory.camera
    close(camera.center[[0, 4]], [[0, 0, 0], [-0.01, 0, 0.01]])
    close(camera.rotation[4], torch.tensor(RIGHT)[:3, :3])
    close(se3.geodesic(camera.rotation[0], camera.rotation[2]), math.pi / 4)


# ---- EXTRINSICS, INTRINSICS


def test_matrices_by_hand_and_back():
    w2c, intrinsics = camera_matrices(path())
    assert w2c.dtype == intrinsics.dtype == torch.float32
    close(w2c, [EYE, RIGHT_W2C])
    close(intrinsics, [K, K])
    close(reads_right(read_camera(w2c, HERE, given=intrinsics)).K, [K, K])


K4 = [[400.0, 0, 416, 0], [0, 400, 240, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
SHARES = [[400 / 832, 0, 0.5], [0, 400 / 480, 0.5], [0, 0, 1]]


@pytest.mark.parametrize("given", [K, [K, K], [[K, K]], K4, SHARES, [400.0, 400.0, 416.0, 240.0]])
@pytest.mark.parametrize("w2c", [[EYE, RIGHT_W2C], [[EYE, RIGHT_W2C]], [EYE[:3], RIGHT_W2C[:3]]])
def test_matrices_come_in_many_shapes(w2c, given):
    camera = reads_right(read_camera(torch.tensor(w2c), HERE, given=torch.tensor(given)))
    close(camera.K, [K, K], 1e-5)


def test_without_intrinsics_the_lens_is_assumed_and_said():
    reading = read_camera(torch.tensor([EYE]), replace(HERE, fov_degrees=90.0))
    close(reading.trajectory.camera.focal, [[416, 416]])
    assert "K: assumed, 90 degrees horizontal in 832x480" in reading.text


# ---- LOAD3D_CAMERA


def test_the_viewers_camera_by_hand():
    """(1, 2, 3) is (1, -2, -3) with y up; looking right, along +x, is a turn by -90 degrees about y up."""
    found = load3d_camera(path(), 1, target_distance=2.0)
    half = math.sqrt(0.5)
    close([found["position"][c] for c in "xyz"], [1, -2, -3])
    close([found["target"][c] for c in "xyz"], [3, -2, -3])
    close([found["quaternion"][c] for c in "wxyz"], [half, 0, -half, 0])
    assert found["fov"] == pytest.approx(2 * math.degrees(math.atan(240 / 400)))
    assert found["aspect"] == pytest.approx(832 / 480)
    reading = read_camera(found, HERE)
    close(reads_right(reading, [RIGHT]).K, [K])


def test_the_shorter_dict_of_comfyui_0_8_looks_from_position_to_target():
    value = {
        "position": {"x": 0, "y": 3, "z": 4},
        "target": {"x": 0, "y": 3, "z": 0},
        "zoom": 2,
        "cameraType": "perspective",
    }
    reading = read_camera(value, replace(HERE, fov_degrees=90.0))
    close(reading.trajectory.camera.world_from_cam, [[[1, 0, 0, 0], [0, 1, 0, -3], [0, 0, 1, -4], [0, 0, 0, 1]]])
    close(reading.trajectory.camera.focal, [[832, 832]])
    assert "no quaternion" in reading.text
    value |= {"position": {"x": 5, "y": 5, "z": 0}, "target": {"x": 0, "y": 0, "z": 0}}
    forward = reading_of(value).camera.rotation[0, :, 2]
    close(forward, [-math.sqrt(0.5), math.sqrt(0.5), 0])


def test_a_list_of_the_viewers_cameras_is_a_path_of_as_many_frames():
    """A turntable of four: from +z, +x, -z and -x at the origin, which camera 0 sees along -z, so that y turns over."""
    around = ((0, 4), (4, 0), (0, -4), (-4, 0))
    cameras = [
        {
            "position": {"x": x, "y": 0, "z": z},
            "target": {"x": 0, "y": 0, "z": 0},
            "zoom": 1.0,
            "fov": fov,
            "cameraType": "perspective",
        }
        for (x, z), fov in zip(around, (90, 90, 60, 90), strict=True)
    ]
    reading = read_camera(cameras, HERE)
    camera = reading.trajectory.camera
    close(camera.center, [[0, 0, -4], [4, 0, 0], [0, 0, 4], [-4, 0, 0]])
    close(camera.rotation[..., 2], [[0, 0, 1], [-1, 0, 0], [0, 0, -1], [1, 0, 0]])
    close(camera.focal[:, 1], [240, 240, 240 * math.sqrt(3), 240])
    assert "4 cameras, a frame each" in reading.text
    assert "others have their own" in reading.text
    flat = {**cameras[1], "cameraType": "orthographic"}
    with pytest.raises(CameraFormatError, match="orthographic"):
        read_camera([cameras[0], flat], HERE)
    with pytest.raises(CameraFormatError):
        read_camera([], HERE, read_as="LOAD3D_CAMERA")


def test_every_frame_comes_back_from_the_list():
    zoomed = wander(9)
    K = zoomed.camera.K.clone()
    K[:, 0, 0] = K[:, 1, 1] = torch.linspace(300.0, 500.0, 9)
    K[:, :2, 2] = torch.tensor((zoomed.camera.hw[1] / 2, zoomed.camera.hw[0] / 2))
    zoomed = replace(zoomed, camera=replace(zoomed.camera, K=K))
    listed = load3d_cameras(zoomed)
    assert listed[4] == load3d_camera(zoomed, 4)
    found = read_camera(listed, replace(HERE, hw=zoomed.camera.hw)).trajectory.camera
    close(found.world_from_cam, zoomed.camera.world_from_cam, 1e-6)
    close(found.K, K, 1e-3)


def reading_of(value, **more):
    return read_camera(value, HERE, **more).trajectory


# ---- depth


def test_vggts_encoded_poses_by_hand():
    """Translation (-1, -2, -3) and no turn put the camera at (1, 2, 3); 90 degrees from top to bottom of 480 are f = 240,
    and from side to side of 832 they are 416; a half turn about y is the quaternion (0, 1, 0, 0)."""
    rows = torch.tensor(
        [[-1.0, -2, -3, 0, 0, 0, 1, math.pi / 2, math.pi / 2], [0, 0, 0, 0, 1, 0, 0, math.pi / 2, math.pi / 2]]
    )
    reading = read_camera({"pose_enc": rows[None], "images": torch.zeros(1, 2, 3, *SIZE)}, Assumed(hw=(7, 7)))
    camera = reading.trajectory.camera
    assert camera.hw == SIZE
    close(camera.center, [[1, 2, 3], [0, 0, 0]])
    close(camera.rotation[1], [[-1, 0, 0], [0, 1, 0], [0, 0, -1]])
    close(camera.focal, [[416, 240]] * 2, 1e-4)
    assert "Read as VGGT" in reading.text
    singular = {"extrinsic": torch.tensor([EYE, RIGHT_W2C])[None, :, :3], "intrinsic": torch.tensor([K, K])[None]}
    reads_right(read_camera(singular | {"image_size": torch.tensor(SIZE)}, HERE))
    with pytest.raises(CameraFormatError, match="between 0 and pi"):
        read_camera({"pose_enc": rows * 0.0}, HERE)


def test_depth_anythings_intrinsics_are_carried_to_the_image():
    """The network saw 504 x 294 of an image of 832 x 480; K of its pixels with f = 252 has 252 * 832 / 504 = 416."""
    seen = torch.tensor([[252.0, 0, 252], [0, 252, 147], [0, 0, 1]]).expand(1, 2, 3, 3)
    value = {
        "depth": torch.ones(2, *SIZE),
        "image": torch.zeros(2, *SIZE, 3),
        "mode": "multiview",
        "extrinsics": torch.tensor([EYE, RIGHT_W2C])[None, :, :3],
        "intrinsics": seen,
    }
    reading = read_camera(value, Assumed(hw=(7, 7)))
    camera = reads_right(reading)
    assert camera.hw == SIZE
    close(camera.K[0], [[416, 0, 416], [0, 252 * 480 / 294, 240], [0, 0, 1]])
    assert "504x294" in reading.text
    shifted = seen.clone()
    shifted[..., 0, 2] += 2.0  # where the principal point is estimated, the network's size is a whole number of patches
    close(reading_of(value | {"intrinsics": shifted}).camera.K[0, 0], [416, 0, 254 * 832 / 504])
    with pytest.raises(CameraFormatError, match="identities in the place of cameras"):
        read_camera(value | {"intrinsics": torch.eye(3).expand(1, 2, 3, 3)}, HERE)
    with pytest.raises(CameraFormatError, match="multiview mode"):
        read_camera({key: value[key] for key in ("depth", "image")} | {"mode": "mono"}, HERE)


def test_camera_params_and_moge():
    params = {
        "extrinsics": torch.tensor(RIGHT_W2C)[None, None],
        "intrinsics": torch.tensor(K)[None, None],
        "image_size": SIZE,
    }
    close(reads_right(read_camera(params, Assumed(hw=(7, 7))), [RIGHT]).K, [K])
    moge = {"image": torch.zeros(1, *SIZE, 3), "points": torch.zeros(1, *SIZE, 3), "intrinsics": torch.tensor([SHARES])}
    camera = read_camera(moge, Assumed(hw=(7, 7))).trajectory.camera
    assert camera.hw == SIZE
    close(camera.K, [K], 1e-5)
    with pytest.raises(CameraFormatError, match="of 2 pictures"):
        read_camera(moge | {"intrinsics": torch.tensor([SHARES, SHARES])}, HERE)


# ---- CAMERA_TRAJECTORY, CAMERA_TRACK

# RIGHT with y and z of camera and world turned over: rows and columns 1 and 2 change sign.
RIGHT_OPENGL = [[0.0, 0, -1, 1], [0, 1, 0, -2], [1, 0, 0, -3], [0, 0, 0, 1]]
HALF = math.sqrt(0.5)
TRAJECTORIES = {
    "opengl": {"matrices": [EYE, RIGHT_OPENGL], "format": "opengl", "intrinsics": [400, 400, 416, 240]},
    "poses": {"poses": np.array([EYE, RIGHT_OPENGL]), "format": "OpenGL", "intrinsics": np.array(K)},
    "hyworld": {
        "c2ws": torch.tensor([EYE, RIGHT]),
        "intrs": torch.tensor([K, K]),
        "width": 832,
        "height": 480,
        "preset": "circular",
    },
    "bruxos": {"matrices": torch.tensor([EYE, RIGHT])},
    "parts": {"translations": [[0, 0, 0], [1, 2, 3]], "rotations": [[1, 0, 0, 0], [HALF, 0, HALF, 0]]},
}


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_three_payloads_of_one_name(name):
    reading = read_camera(TRAJECTORIES[name], HERE)
    assert reading.format == "CAMERA_TRAJECTORY"
    camera = reads_right(reading)
    unsaid = name in ("bruxos", "parts")
    assert ("K: assumed" in reading.text) == unsaid
    assert any("OpenGL" in warning for warning in reading.warnings) == unsaid
    if not unsaid:
        close(camera.K, [K, K], 1e-5)
    assert camera.hw == SIZE


def test_a_camera_track_in_millimetres():
    """18 mm behind 36 mm of 832 pixels is f = 416."""
    rotation, translation = torch.tensor([EYE, RIGHT_W2C]).split((3, 1), dim=-1)
    track = {
        "R_w2c": rotation[:, :3],
        "t_w2c": translation[:, :3, 0],
        "focal_mm": torch.full((2,), 18.0),
        "haperture": 36.0,
        "img_width": torch.tensor([832]),
        "img_height": torch.tensor([480]),
    }
    camera = reads_right(read_camera(track, Assumed(hw=(7, 7))))
    close(camera.K[1], [[416, 0, 416], [0, 416, 240], [0, 0, 1]])
    newer = {"R_cam2world": [np.array(RIGHT)[:3, :3]], "t_cam2world": [[1, 2, 3]], "K_fullimg": K}
    close(reads_right(read_camera(newer, HERE), [RIGHT]).K, [K])


# ---- CAMERA_ARRAYS


def test_what_estimators_return_is_recognised():
    """Lists of matrices; the dicts of MegaSaM, Pi3 and ViPE; CUT3R's and MapAnything's, one a frame."""
    w2c = torch.tensor([EYE, RIGHT_W2C], dtype=torch.float64)
    c2w = torch.linalg.inv(w2c)
    K = torch.tensor([[50.0, 0, 64], [0, 50, 32], [0, 0, 1]], dtype=torch.float64)
    pictures = np.zeros((2, 64, 128, 3), np.uint8)
    with_lens = (
        {"images": pictures, "depths": pictures[..., 0], "intrinsic": K.numpy(), "cam_c2w": c2w.numpy()},
        [{"pose": pose.numpy(), "intrinsics": K.numpy()} for pose in c2w],
        tuple({"camera_poses": pose[None], "intrinsics": K[None]} for pose in c2w),
    )
    bare = (c2w.tolist(), list(c2w), list(c2w.numpy()), {"camera_poses": c2w[None]}, {"data": c2w, "inds": [0, 1]})
    for value in (*with_lens, *bare):
        camera = read_camera(value, HERE).trajectory.camera
        torch.testing.assert_close(camera.world_from_cam, c2w, rtol=0, atol=1e-12)
        assert recognise(value) == "CAMERA_ARRAYS"
    for value in with_lens:
        camera = read_camera(value, HERE).trajectory.camera
        assert camera.hw == (64, 128)
        torch.testing.assert_close(camera.K, K.expand(2, 3, 3), rtol=0, atol=1e-12)
    told = read_camera(list(w2c), replace(HERE, direction="w2c")).trajectory.camera.world_from_cam
    torch.testing.assert_close(told, c2w, rtol=0, atol=1e-12)


# ---- recognition and refusal

SAMPLES = {
    "WAN_CAMERA_EMBEDDING": torch.zeros(1, 24, 2, 4, 4),
    "CAMERACTRL_POSES": [ADE],
    "STRING": "[]",
    "CameraPose": np.zeros((2, 3, 4)),
    "CAMERAPOSES": np.zeros((2, 4, 4)),
    "EXTRINSICS": torch.zeros(2, 4, 4),
    "LOAD3D_CAMERA": {"position": {}, "target": {}},
    "DA3_GEOMETRY": {"depth": 0, "image": 0, "mode": "multiview", "extrinsics": 0, "intrinsics": 0},
    "MOGE_GEOMETRY": {"image": 0, "points": 0, "depth": 0, "intrinsics": 0},
    "VGGT": {"pose_enc": torch.ones(1, 2, 9)},
    "CAMERA_PARAMS": {"extrinsics": 0, "intrinsics": 0, "image_size": 0},
    "CAMERA_TRAJECTORY": {"c2ws": 0, "intrs": 0},
    "CAMERA_TRACK": {"R_w2c": 0, "t_w2c": 0, "focal_mm": 0, "haperture": 0},
    "CAMERA_ARRAYS": {"cam_c2w": torch.zeros(2, 4, 4), "intrinsic": torch.zeros(3, 3)},
}


def test_each_payload_is_recognised_by_one_reader_alone():
    assert SAMPLES.keys() == PAYLOADS.keys()
    for name, sample in SAMPLES.items():
        assert recognise(sample) == name
        assert [other for other, payload in PAYLOADS.items() if payload.recognises(sample)] == [name]


def test_a_name_decides_where_two_look_the_same():
    arrays = np.array([EYE, RIGHT_W2C])
    assert len(reading_of(arrays)) == 5
    reads_right(read_camera(arrays, HERE, read_as="EXTRINSICS"))


def test_a_path_read_the_wrong_way_round_is_warned_of():
    straight = make_move("pan", 9, hw=SIZE, amount=0.5)
    moved = replace(straight, camera=Camera(straight.camera.world_from_cam.double(), straight.camera.K, SIZE))
    moved.camera.world_from_cam[:, 2, 3] = torch.linspace(0, 1, 9) + 5
    assert "the other way round" in read_camera(moved.camera.world_from_cam, HERE).text


SHEARED = [[1.0, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
MIRROR = [[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
TRANSPOSED = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [5, 0, 0, 1]]
HOLE = [[math.nan, 0, 0, 0], *EYE[1:]]
DICT = {"position": {"x": 0, "y": 0, "z": 1}, "target": {"x": 0, "y": 0, "z": 0}}
BAD = {
    "nothing known": (3.5, "float 3.5 is not a kind of camera that is known here"),
    "an unknown dict": ({"frames": 1}, "a dict of frames"),
    "none": (None, "NoneType"),
    "an image": (torch.zeros(1, 8, 8, 3), "shape [1, 8, 8, 3]"),
    "no rows": ([], "at least one frame, got [1, 0]"),
    "no matrices": (np.zeros((0, 4, 4)), "at least one frame"),
    "rows of unequal length": ([ADE, ADE[:-1]], "numbers in equal rows"),
    "words in rows": ([ADE[:-1] + ["far"]], "real numbers in equal rows"),
    "complex numbers": (np.zeros((2, 3, 4), dtype=complex), "real numbers in equal rows, got complex128"),
    "a number of 400 digits": ([ADE[:-1] + [10**400]], "real numbers in equal rows"),
    "a row that is not finite": ([ADE, [math.inf, *ADE[1:]]], "holds NaN or infinity in frame 1"),
    "NaN": (torch.tensor([EYE, HOLE]), "holds NaN or infinity in frame 1"),
    "a shear": (torch.tensor([EYE, SHEARED]), "frame 1 has a rotation that is not orthonormal"),
    "a mirror": (np.array([EYE, MIRROR]), "frame 1 has a rotation that mirrors"),
    "a transposed matrix": (torch.tensor([EYE, TRANSPOSED]), "frame 1 has a matrix whose last row is not 0 0 0 1"),
    "a frame without its pose": ([{"pose": np.eye(4)}, {"depth": 0}], "frame 1 has no pose, the first has"),
    "lists of unequal tensors": ([torch.eye(4), torch.eye(3)], "is not a kind of camera that is known here"),
    "two scenes": (torch.tensor([[EYE], [EYE]]), "got [2, 1, 4, 4]"),
    "no JSON": ("zoom in", "STRING"),
    "JSON of something else": ("[[1, 2], [3, 4]]", "a JSON list of rows of 18 numbers"),
    "deep JSON": ("[" * 100_000, "STRING"),
    "NaN in JSON": (json.dumps([ADE[1:-1] + [math.nan]]), "holds NaN"),
    "another object": ('{"a": 1}', "a JSON object is taken for a camera path v1"),
    "a focal length of zero": ([[0, 0, *ADE[2:]]], "a focal length that is not positive"),
    "noise as rays": (torch.randn(1, 24, 2, 8, 8, generator=torch.Generator().manual_seed(0)), "no pinhole camera"),
    "empty rays": (torch.zeros(1, 24, 2, 8, 8), "no pinhole camera"),
    "NaN in rays": (torch.full((1, 24, 2, 8, 8), math.nan), "holds NaN"),
    "an orthographic camera": (DICT | {"cameraType": "orthographic"}, "orthographic"),
    "a position without z": (DICT | {"position": {"x": 0, "y": 0}}, "position is a dict of x, y, z"),
    "a viewer at its target": (DICT | {"position": DICT["target"]}, "stands on its target"),
    "an angle of 180 degrees": (DICT | {"fov": 180}, "between 0 and 180 degrees"),
    "no quaternion": (DICT | {"quaternion": {"x": 0, "y": 0, "z": 0, "w": 0}}, "length zero"),
    "a strange format": (TRAJECTORIES["opengl"] | {"format": "unity"}, "opengl or opencv, got 'unity'"),
    "fewer intrinsics": (TRAJECTORIES["hyworld"] | {"intrs": torch.tensor([K] * 3)}, "2 poses, but 3 intrinsics"),
    "no size": (TRAJECTORIES["hyworld"] | {"width": 0}, "0x480 pixels, which is not a size"),
    "fewer translations": (TRAJECTORIES["parts"] | {"translations": [[0, 0, 0]]}, "2 rotations, but 1 translations"),
}


def test_lines_that_do_not_meet_are_no_cameras():
    rays = wan_camera_embedding(wander())
    rays[:, 3] = 0.0
    with pytest.raises(CameraFormatError, match="do not meet in one point"):
        read_camera(rays, HERE)


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_camera_is_answered_in_one_sentence(case):
    value, sentence = BAD[case]
    with pytest.raises(CameraFormatError) as caught:
        read_camera(value, HERE)
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_second_lens_is_refused():
    with pytest.raises(CameraFormatError, match="CAMERACTRL_POSES has a lens of its own"):
        read_camera([ADE], HERE, given=K)
    with pytest.raises(CameraFormatError, match="read_as is auto or one of"):
        read_camera([ADE], HERE, read_as="FBX")
    for name in PAYLOADS:
        with pytest.raises(CameraFormatError):
            read_camera(object(), HERE, read_as=name)


SKEWED, OFF = [[400.0, 3, 416], [0, 400, 240], [0, 0, 1]], [[400.0, 0, 400], [0, 400, 240], [0, 0, 1]]
UNWRITABLE = {
    "frames of no latent": (lambda: wan_camera_embedding(wander(8)), "got 8; the nearest such count is 9"),
    "another aspect": (lambda: wan_camera_embedding(wander(9), (64, 64)), "the aspects differ"),
    "a camera that is none": (lambda: wan_camera_embedding(path([HOLE] * 5)), "frame 0 holds NaN"),
    "a skew in rows": (lambda: cameractrl_poses(path(intrinsics=SKEWED)), "no place for the skew"),
    "frames of no fourth": (lambda: recammaster_poses(wander(6)), "got 6; the nearest such count is 5"),
    "a scale of zero": (lambda: recammaster_poses(wander(9), 0.0), "positive number, got 0.0"),
    "no such frame": (lambda: load3d_camera(path(), 2), "there is no frame 2"),
    "a shifted lens": (lambda: load3d_camera(path(intrinsics=OFF)), "at (400, 240) of 832 x 480"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_a_socket_has_no_place_for_is_refused(case):
    write, sentence = UNWRITABLE[case]
    with pytest.raises(ValueError) as caught:
        write()
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
