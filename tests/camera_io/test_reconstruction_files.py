"""Files of photogrammetry and capture programs: a point of the world is projected by the program's own formula, written
out here in numpy, and by the camera that was read; both are the same pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from raxel_core.camera_io import FORMATS, read_cameras, write_cameras
from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.geometry import se3
from tests.camera_io.test_clip_rules import close, drive, save

WIDTH, HEIGHT, FOCAL = 640, 480, 500.0
POINTS = np.array([[0.3, -0.2, 6.0], [-1.0, 0.5, 8.0], [0.7, 0.9, 5.0]])
TURN = se3.so3_exp(torch.tensor([[0.1, -0.2, 0.05], [0.15, -0.25, 0.1]]).double()).numpy()  # camera to world
PLACE = np.array([[0.2, -0.1, 0.4], [0.3, 0.1, 0.6]])


def pixels(path, **assumed):
    """Pixels [F, P, 2] of POINTS in the cameras that are read."""
    camera = read_cameras(path, assumed=Assumed(hw=(HEIGHT, WIDTH), **assumed)).trajectory.camera
    world = torch.from_numpy(np.concatenate((POINTS, np.ones((3, 1))), axis=1))
    seen = (camera.cam_from_world[:, :3] @ world.T).mT
    return (seen @ camera.K.mT / seen[..., 2:])[..., :2]


def expected(x, y):
    """Pixels of points at (x, y) of the plane z = 1, [F, P]."""
    return np.stack((FOCAL * x + WIDTH / 2, FOCAL * y + HEIGHT / 2), axis=-1)


def in_cameras():
    """The points in each camera's OpenCV axes, [F, P, 3]."""
    return np.stack([(POINTS - place) @ turn for turn, place in zip(TURN, PLACE, strict=True)])


def test_bundler(tmp_path):
    """P = R X + t, p = -P / P.z, p' = f p, y up, from the middle (Bundler's manual)."""
    flip = np.diag([1.0, -1.0, -1.0])
    lines = ["# Bundle file v0.3", "3 1"]
    want = []
    for turn, place in zip(TURN, PLACE, strict=True):
        R = flip @ turn.T
        t = -R @ place
        lines += [f"{FOCAL} 0 0", *(" ".join(map(repr, row.tolist())) for row in R), " ".join(map(repr, t.tolist()))]
        P = POINTS @ R.T + t
        p = -P / P[:, 2:]
        want.append(np.stack((FOCAL * p[:, 0] + WIDTH / 2, HEIGHT / 2 - FOCAL * p[:, 1]), axis=-1))
    lines += ["0 0 0"] * 5 + ["1 2 3", "255 0 0", "1 0 0 1 2"]
    save(tmp_path / "list.txt", "a_001.jpg 0 500\na_002.jpg 0 500\na_009.jpg\n")
    close(pixels(save(tmp_path / "bundle.out", "\n".join(lines) + "\n")), np.stack(want))


def test_opensfm(tmp_path):
    """X_cam = R X + t of a rotation vector; pixels are shares of the larger side from the middle."""
    shots = {}
    for index, (turn, place) in enumerate(zip(TURN, PLACE, strict=True)):
        vector = se3.so3_log(torch.from_numpy(turn.T.copy())).tolist()
        shots[f"{index}.jpg"] = {"rotation": vector, "translation": (-turn.T @ place).tolist(), "camera": "v"}
    camera = {
        "projection_type": "perspective",
        "width": WIDTH,
        "height": HEIGHT,
        "focal": FOCAL / WIDTH,
        "k1": 0,
        "k2": 0,
    }
    path = save(
        tmp_path / "reconstruction.json",
        json.dumps([{"cameras": {"v": camera}, "shots": shots}, {"cameras": {}, "shots": {}}]),
    )
    seen = in_cameras()
    close(pixels(path), expected(seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]))
    assert any("reconstruction 1" in line for line in read_cameras(path).warnings)


def test_openmvg_and_meshroom(tmp_path):
    """X_cam = R (X - C). OpenMVG writes R by rows and k1 k2 k3; Meshroom's nine numbers are R by columns, as text."""
    k = (-0.02, 0.004, 0.001)
    views, poses, mvg, room = [], [], [], []
    for index, (turn, place) in enumerate(zip(TURN, PLACE, strict=True)):
        views.append(
            {
                "viewId": str(index),
                "poseId": str(index),
                "intrinsicId": "7",
                "path": f"/a/{index}.jpg",
                "width": str(WIDTH),
                "height": str(HEIGHT),
            }
        )
        transform = {
            "rotation": [repr(x) for x in turn.T.T.flatten().tolist()],
            "center": [repr(x) for x in place.tolist()],
        }
        room.append({"poseId": str(index), "pose": {"transform": transform}})
        data = {"filename": f"{index}.jpg", "id_view": index, "id_intrinsic": 7, "id_pose": index}
        mvg.append({"key": index, "value": {"ptr_wrapper": {"data": data}}})
        poses.append({"key": index, "value": {"rotation": turn.T.tolist(), "center": place.tolist()}})
    inner = {"width": WIDTH, "height": HEIGHT, "focal_length": FOCAL, "principal_point": [WIDTH / 2, HEIGHT / 2]}
    lens = {
        "polymorphic_id": 2147483649,
        "polymorphic_name": "pinhole_radial_k3",
        "ptr_wrapper": {"data": {"value0": inner, "disto_k3": list(k)}},
    }
    values = {"sfm_data_version": "0.3", "views": mvg, "intrinsics": [{"key": 7, "value": lens}], "extrinsics": poses}
    first = save(tmp_path / "sfm_data.json", json.dumps(values))
    sensor = {"intrinsicId": "7", "width": str(WIDTH), "height": str(HEIGHT), "sensorWidth": "36", "type": "radial3"}
    sensor |= {
        "focalLength": repr(FOCAL / WIDTH * 36),
        "principalPoint": ["0", "0"],
        "distortionParams": [str(x) for x in k],
    }
    second = save(tmp_path / "cameras.sfm", json.dumps({"views": views, "intrinsics": [sensor], "poses": room}))
    seen = in_cameras()
    x, y = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
    for path in (first, second):
        close(pixels(path), expected(x, y))
        read = read_cameras(path)
        assert read.lenses[0].coefficients == (k[0], k[1], 0.0, 0.0, k[2], 0.0)
        r2 = x[0] ** 2 + y[0] ** 2
        bent = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3
        points = torch.from_numpy(np.stack((x[0], y[0]), axis=-1))
        close(read.lenses[0].project(points), expected(x[0] * bent, y[0] * bent))


def test_openmvgs_tangential_terms_stand_as_opencvs(tmp_path):
    """t_x = t2 (r2 + 2 x^2) + 2 t1 x y (openMVG/cameras/Camera_Pinhole_Brown.hpp)."""
    inner = {"width": WIDTH, "height": HEIGHT, "focal_length": FOCAL, "principal_point": [WIDTH / 2, HEIGHT / 2]}
    data = {"value0": inner, "disto_t2": [0.0, 0.0, 0.0, 0.01, -0.02]}
    lens = {"polymorphic_name": "pinhole_brown_t2", "ptr_wrapper": {"data": data}}
    view = {"filename": "1.jpg", "id_view": 0, "id_intrinsic": 0, "id_pose": 0}
    pose_of = {"rotation": np.eye(3).tolist(), "center": [0, 0, 0]}
    values = {"sfm_data_version": "0.3", "views": [{"key": 0, "value": {"ptr_wrapper": {"data": view}}}]}
    values |= {"intrinsics": [{"key": 0, "value": lens}], "extrinsics": [{"key": 0, "value": pose_of}]}
    read = read_cameras(save(tmp_path / "sfm_data.json", json.dumps(values)))
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    bent = x - 0.02 * (r2 + 2 * x * x) + 0.02 * x * y, y + 0.01 * (r2 + 2 * y * y) - 0.04 * x * y
    close(read.lenses[0].project(torch.tensor([x, y])), expected(*bent))


def test_metashape_with_a_chunk_and_its_own_lens(tmp_path):
    """World = s R X_chunk + t. p1 and p2 stand the other way round than OpenCV's (manual, appendix D)."""
    scale, move, k = 2.5, np.array([1.0, 2.0, 3.0]), {"k1": -0.02, "k2": 0.003, "p1": 0.004, "p2": -0.002}
    turned = se3.so3_exp(torch.tensor([0.3, 0.2, -0.4]).double()).numpy()
    cameras = ""
    for index, (turn, place) in enumerate(zip(TURN, PLACE, strict=True)):
        chunk = np.eye(4)
        chunk[:3, :3], chunk[:3, 3] = turned.T @ turn, turned.T @ (place - move) / scale
        text = " ".join(map(repr, chunk.flatten().tolist()))
        cameras += f'<camera id="{index}" sensor_id="0" label="a_{index}"><transform>{text}</transform></camera>'
    lens = f"<f>{FOCAL}</f><cx>0</cx><cy>0</cy>" + "".join(f"<{key}>{value}</{key}>" for key, value in k.items())
    numbers = [" ".join(map(repr, np.ravel(value).tolist())) for value in (turned, move)]
    path = save(
        tmp_path / "cameras.xml",
        '<?xml version="1.0"?><document><chunk><sensors><sensor id="0" type="frame"><resolution width="640" height="480"/>'
        f"<calibration>{lens}</calibration></sensor></sensors><cameras>{cameras}<camera id='9' sensor_id='0' label='a_9'/>"
        f"</cameras><transform><rotation>{numbers[0]}</rotation><translation>{numbers[1]}</translation>"
        f"<scale>{scale}</scale></transform></chunk></document>",
    )
    seen = in_cameras()
    x, y = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
    close(pixels(path), expected(x, y))
    reading = read_cameras(path)
    assert reading.trajectory.unit == "metre" and "1 of 3 cameras have no transform" in reading.text
    r2 = x**2 + y**2
    radial = 1 + k["k1"] * r2 + k["k2"] * r2**2
    bent_x = x * radial + k["p1"] * (r2 + 2 * x**2) + 2 * k["p2"] * x * y
    bent_y = y * radial + k["p2"] * (r2 + 2 * y**2) + 2 * k["p1"] * x * y
    close(reading.lenses[0].project(torch.from_numpy(np.stack((x, y), axis=-1))), expected(bent_x, bent_y))


def test_metashapes_component_leads_to_the_world_and_its_adjusted_calibration_is_the_lens(tmp_path):
    """As Metashape 2 writes it: the chunk's own transform is none beside the component's, the calibration that was
    loaded stands before the solved one, and b1 and b2 are rarely 0: x' = x f + x b1 + y b2."""
    scale, move, b1, b2 = 12.5, np.array([1.0, 2.0, 3.0]), 0.5, -0.3
    turned = se3.so3_exp(torch.tensor([0.3, 0.2, -0.4]).double()).numpy()

    def words(value):
        return " ".join(map(repr, np.ravel(value).tolist()))

    def transform(*values):
        return "<transform>{}</transform>".format(
            "".join(
                f'<{key} locked="true">{words(value)}</{key}>'
                for key, value in zip(("rotation", "translation", "scale"), values, strict=True)
            )
        )

    cameras = ""
    for index, (turn, place) in enumerate(zip(TURN, PLACE, strict=True)):
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = turned.T @ turn, turned.T @ (place - move) / scale
        cameras += f'<camera id="{index}" sensor_id="0" component_id="0" label="a_{index}"><transform>{words(local)}'
        cameras += "</transform></camera>"
    lens = '<calibration type="frame" class="{}"><f>{}</f><cx>0</cx><cy>0</cy>{}</calibration>'
    lenses = lens.format("initial", 400.0, "") + lens.format("adjusted", FOCAL, f"<b1>{b1}</b1><b2>{b2}</b2>")
    text = (
        '<document version="2.0.0"><chunk label="Chunk 1"><sensors><sensor id="0" type="frame">'
        f'<resolution width="640" height="480"/>{lenses}</sensor></sensors><components><component id="0">'
        f'{transform(turned, move, scale)}</component></components><cameras><group id="0">{cameras}</group></cameras>'
        f"{transform(np.eye(3), np.zeros(3), 1.0)}</chunk></document>"
    )
    path = save(tmp_path / "cameras.xml", text)
    seen = in_cameras()
    x, y = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
    close(pixels(path), expected(x + b1 / FOCAL * x, y))
    reading = read_cameras(path)
    assert reading.trajectory.unit == "metre" and "component's transform (scale 12.5)" in reading.text
    assert "skew (b2) of sensor '0' was left out, which moves the border by 0.14 pixels" in reading.text
    with pytest.raises(CameraFormatError, match="skewed"):
        read_cameras(save(tmp_path / "skewed.xml", text.replace(str(b2), "-30.0")))


MM = repr(FOCAL / WIDTH * 36)


@pytest.mark.parametrize(
    ("version", "lens", "fy", "told"),
    [
        ("1 0 0", {"type": "radial3", "pxFocalLength": "500", "principalPoint": ["330", "235"]}, 500, "BROWN"),
        ("1 2 1", {"type": "radial3", "pxFocalLength": ["500", "480"], "principalPoint": ["10", "-5"]}, 480, "BROWN"),
        ("1 2 4", {"type": "brown", "focalLength": MM, "pixelRatio": "2"}, 250, "BROWN"),
        ("1 2 9", {"type": "pinhole", "focalLength": MM, "pixelRatio": "2", "distortionParams": ""}, 1000, "PINHOLE"),
        (
            "1 2 9",
            {"type": "pinhole", "focalLength": MM, "pixelRatio": "1", "distortionType": "radialk3",
             "distortionParams": ["-0.05", "0.01", "0.002"]},
            500,
            "its lens distortion (BROWN) was left out",
        ),
    ],
)  # fmt: skip
def test_meshrooms_versions(tmp_path, version, lens, fy, told):
    """loadIntrinsic of aliceVision/sfmDataIO/jsonIO.cpp: where the focal lengths, the principal point and the distortion
    stand has changed with the file's version; an empty list is "" there."""
    sensor = {
        "intrinsicId": "7",
        "width": str(WIDTH),
        "height": str(HEIGHT),
        "sensorWidth": "36",
        "distortionType": "none",
    }
    sensor |= {"principalPoint": ["10", "-5"], "undistortionParams": "", **lens}
    view = {"viewId": "1", "poseId": "1", "intrinsicId": "7", "path": "/a/1.jpg"}
    transform = {"rotation": [str(x) for x in np.eye(3).ravel()], "center": ["1", "2", "3"]}
    values = {"version": version.split(), "views": [view], "intrinsics": [sensor]}
    values |= {"poses": [{"poseId": "1", "pose": {"transform": transform}}]}
    reading = read_cameras(save(tmp_path / "cameras.sfm", json.dumps(values)))
    close(reading.trajectory.camera.K[0], [[FOCAL, 0, WIDTH / 2 + 10], [0, fy, HEIGHT / 2 - 5], [0, 0, 1]])
    assert told in reading.text
    if "distortionType" in lens:
        assert reading.lenses[0].coefficients == (-0.05, 0.01, 0, 0, 0.002, 0)


def test_meshrooms_rigs_place_their_cameras(tmp_path):
    """X_cam = S (R (X - C) - c) of the rig's pose R, C and the camera's sub-pose S, c; a pose may be independent."""
    sub_turn = se3.so3_exp(torch.tensor([0.0, 0.5, 0.0]).double()).numpy()  # camera to rig
    sub_place = np.array([0.5, 0.0, 0.1])

    def pose_of(turn, place):
        return {"rotation": [repr(x) for x in turn.ravel().tolist()], "center": [repr(x) for x in place.tolist()]}

    lens = {"intrinsicId": "7", "width": str(WIDTH), "height": str(HEIGHT), "type": "pinhole", "focalLength": MM}
    poses, views = [], []
    for index, (turn, place) in enumerate(zip(TURN, PLACE, strict=True)):
        poses.append({"poseId": str(index), "pose": {"transform": pose_of(turn, place)}})
        view = {"viewId": str(index), "poseId": str(index), "intrinsicId": "7", "path": f"/a/{index}.jpg"}
        views.append({**view, "rigId": "3", "subPoseId": "1", "isPoseIndependant": "false"})
    sub_poses = [{"pose": pose_of(np.eye(3), np.zeros(3))}, {"pose": pose_of(sub_turn, sub_place)}]
    values = {"version": ["1", "2", "9"], "views": views, "intrinsics": [lens], "poses": poses}
    values["rigs"] = [{"rigId": "3", "subPoses": sub_poses}]
    seen = (in_cameras() - sub_place) @ sub_turn
    path = save(tmp_path / "cameras.sfm", json.dumps(values))
    close(pixels(path), expected(seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]))
    values["views"] = [{**view, "isPoseIndependant": "true"} for view in views]
    alone = in_cameras()
    path = save(tmp_path / "alone.sfm", json.dumps(values))
    close(pixels(path), expected(alone[..., 0] / alone[..., 2], alone[..., 1] / alone[..., 2]))
    values |= {"views": views, "rigs": []}
    with pytest.raises(CameraFormatError, match="rig 3: expected a sub-pose of it, found number '1'"):
        read_cameras(save(tmp_path / "none.sfm", json.dumps(values)))


def test_reality_capture_by_nerfstudios_formula(tmp_path):
    """R = Rz(-heading) Rx(pitch) Ry(roll), OpenGL axes, z up; f in mm of 36."""
    head, pitch, roll = np.deg2rad([30.0, 80.0, 5.0])
    c, s = np.cos, np.sin
    Rz = np.array([[c(-head), -s(-head), 0], [s(-head), c(-head), 0], [0, 0, 1]])
    Rx = np.array([[1, 0, 0], [0, c(pitch), -s(pitch)], [0, s(pitch), c(pitch)]])
    Ry = np.array([[c(roll), 0, s(roll)], [0, 1, 0], [-s(roll), 0, c(roll)]])
    text = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\na.jpg,1,2,3,30,80,5,28.125,0,0,0,0,0,0,0,0\n"
    camera = read_cameras(save(tmp_path / "c.csv", text), assumed=Assumed(hw=(HEIGHT, WIDTH))).trajectory.camera
    opengl = Rz @ Rx @ Ry
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z up to y down
    close(camera.rotation[0], z_up @ opengl @ np.diag([1.0, -1, -1]))
    close(camera.center[0], z_up @ np.array([1.0, 2, 3]))
    close(camera.focal[0], (500.0, 500.0))


@pytest.mark.parametrize(("mark", "point"), [(";", "."), (";", ","), ("\t", ",")])
def test_reality_captures_table_as_spreadsheets_save_it(tmp_path, mark, point):
    head = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\n"
    rows = "a.jpg,1.5,2,3,30,80,5,28.125,0.25,0,0,0,0,0,0,0\nb.jpg,1.75,2,3,30.5,80,5,28.125,0.25,0,0,0,0,0,0,0\n"
    expected = read_cameras(save(tmp_path / "a.csv", head + rows))
    text = head.replace(",", mark) + rows.replace(",", mark).replace(".jpg", "*").replace(".", point).replace(
        "*", ".jpg"
    )
    found = read_cameras(save(tmp_path / "b.csv", text))
    assert found.format == "reality_capture" and found.names == expected.names and found.notes == expected.notes
    assert torch.equal(found.trajectory.camera.world_from_cam, expected.trajectory.camera.world_from_cam)
    assert torch.equal(found.trajectory.camera.K, expected.trajectory.camera.K)
    assert float(found.trajectory.camera.center[0, 0]) == pytest.approx(1.5)


def test_record3d_and_polycam_have_arkits_axes(tmp_path):
    """Camera-to-world, y up, looking along -z: a quarter turn about y takes the view to -x."""
    half = 0.5**0.5
    values = {"poses": [[0, 0, 0, 1, 1, 2, 3], [0, half, 0, half, 1, 2, 3]], "w": 640, "h": 480, "fps": 60}
    values["K"] = [500, 0, 0, 0, 510, 0, 320, 240, 1]
    reading = read_cameras(save(tmp_path / "metadata", json.dumps(values)))
    assert (reading.format, reading.trajectory.fps, reading.trajectory.unit) == ("record3d", 60, "metre")
    close(reading.trajectory.camera.center, [(1, -2, -3)] * 2)
    close(reading.trajectory.camera.rotation[:, :, 2], [(0, 0, 1), (-1, 0, 0)])
    close(reading.trajectory.camera.K[0], [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    for index, rows in enumerate(((1, 0, 0, 1, 0, 1, 0, 2, 0, 0, 1, 3), (0, 0, 1, 1, 0, 1, 0, 2, -1, 0, 0, 3))):
        frame = {f"t_{i // 4}{i % 4}": value for i, value in enumerate(rows)}
        frame |= {"fx": 500, "fy": 510, "cx": 320, "cy": 240, "width": 640, "height": 480}
        save(
            tmp_path / "raw" / "keyframes" / "corrected_cameras" / f"{1_000_000 + index * 100_000}.json",
            json.dumps(frame),
        )
    raw = read_cameras(tmp_path / "raw")
    assert (raw.format, raw.trajectory.fps) == ("polycam", 10)
    close(raw.trajectory.camera.world_from_cam, reading.trajectory.camera.world_from_cam)


def test_euroc_has_w_first_and_nanoseconds(tmp_path):
    half = 0.5**0.5
    text = (
        "#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z []\n"
        f"1403636579763555584,1,2,3,1,0,0,0\n1403636579813555456,4,5,6,{half},0,{half},0\n"
    )
    reading = read_cameras(save(tmp_path / "data.csv", text))
    assert (reading.format, reading.trajectory.fps, reading.trajectory.unit) == ("euroc", 20, "metre")
    close(reading.trajectory.camera.world_from_cam[1], [[0, 0, 1, 4], [0, 1, 0, 5], [-1, 0, 0, 6], [0, 0, 0, 1]])
    assert any("body" in line for line in reading.warnings)


@pytest.mark.parametrize("ending", ["", ",", ",0.1,0.2,0.3,"])
def test_rows_of_vins_have_w_first_and_it_is_said(tmp_path, ending):
    """pose_graph.cpp writes time, place, w x y z and a comma, visualization.cpp the velocity too; no heading."""
    half = 0.5**0.5
    rows = (f"1403636579763555584,1,2,3,1,0,0,0{ending}\n", f"1403636579813555456,4,5,6,{half},0,{half},0{ending}\n")
    path = save(tmp_path / "vio.csv", "".join(rows))
    reading = read_cameras(path)
    assert (reading.format, reading.trajectory.fps) == ("euroc", 20)
    close(reading.trajectory.camera.world_from_cam[1], [[0, 0, 1, 4], [0, 1, 0, 5], [-1, 0, 0, 6], [0, 0, 0, 1]])
    assert any("no heading names the columns" in line for line in reading.warnings)
    told = read_cameras(path, assumed=Assumed(quaternions="xyzw"))
    close(told.trajectory.camera.rotation[0], [[1, 0, 0], [0, -1, 0], [0, 0, -1]])
    assert not any("no heading" in line for line in told.warnings)
    # As ORB-SLAM3 writes nanoseconds: blanks, and w last.
    blanks = "".join(rows).replace(",0.1,0.2,0.3", "").replace(",", " ")
    assert read_cameras(save(tmp_path / "f.txt", blanks)).format == "tum"


def test_worldplay_is_read_by_its_authors_loader(tmp_path):
    """generate.py: extrinsic is camera-to-world; fx is divided by twice the principal point."""
    (path,) = write_cameras(drive(), tmp_path / "a.worldplay.json")
    values = json.loads(path.read_text())
    assert list(values) == [str(number) for number in range(8)]
    w2c = np.stack([np.linalg.inv(np.array(frame["extrinsic"])) for frame in values.values()])
    close(torch.from_numpy(w2c), drive().camera.cam_from_world)
    K = np.array(values["0"]["K"])
    assert K[0, 0] / (2 * K[0, 2]) == pytest.approx(700 / 832)


def test_nerfstudios_path_is_read_by_its_own_formula(tmp_path):
    """get_path_from_json: focal = height / 2 / tan(fov / 2), camera_to_world 4 x 4 row by row, OpenGL axes."""
    (path,) = write_cameras(drive(), tmp_path / "camera_path.json")
    values = json.loads(path.read_text())
    camera = values["camera_path"][3]
    assert values["render_height"] / 2 / np.tan(np.deg2rad(camera["fov"]) / 2) == pytest.approx(700)
    c2w = np.array(camera["camera_to_world"]).reshape(4, 4)
    forward = drive().camera.rotation[3][:, 2].numpy()
    np.testing.assert_allclose(-c2w[:3, 2], [forward[0], forward[2], -forward[1]], atol=1e-12)
    assert values["fps"] == 25 and values["seconds"] == pytest.approx(8 / 25)


def test_the_table_of_formats_names_each():
    from raxel_core import camera_io

    table = (__import__("pathlib").Path(camera_io.__file__).parent / "README.md").read_text()
    for known in FORMATS:
        assert f"| `{known.name}` | {known.title} | yes | {'yes' if known.write else 'no'} |" in table
