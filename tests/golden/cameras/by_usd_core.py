"""How usd_core.* came to be: usd-core 26.11.

    python by_usd_core.py FOLDER

A camera in centimetres under a parent that is scaled, moved and turned by USD's own operations, with a pivot and its
inverse; usd_core.json is USD's own local-to-world matrix (transposed: ours act on columns) and the window of its
frustum at distance 1, at time codes 10 to 12.
"""

import json
import sys

from pxr import Gf, Usd, UsdGeom

FOLDER = sys.argv[-1]
CODES = (10.0, 11.0, 12.0)

stage = Usd.Stage.CreateNew(f"{FOLDER}/usd_core.usda")
UsdGeom.SetStageUpAxis(stage, "Y")
UsdGeom.SetStageMetersPerUnit(stage, 0.01)
stage.SetStartTimeCode(CODES[0])
stage.SetEndTimeCode(CODES[-1])
stage.SetTimeCodesPerSecond(25)
stage.SetFramesPerSecond(25)
rig = UsdGeom.Xform.Define(stage, "/set/rig")
rig.AddTranslateOp().Set(Gf.Vec3d(10, 150, -20))
rig.AddTranslateOp(UsdGeom.XformOp.PrecisionFloat, "pivot").Set(Gf.Vec3f(1, 2, 3))
rotate = rig.AddRotateYXZOp()
rig.AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
rig.AddTranslateOp(UsdGeom.XformOp.PrecisionFloat, "pivot", True)
camera = UsdGeom.Camera.Define(stage, "/set/rig/shot")
orient, move = camera.AddOrientOp(UsdGeom.XformOp.PrecisionDouble), camera.AddTranslateOp()
camera.CreateFocalLengthAttr()
camera.CreateHorizontalApertureAttr(24.0)
camera.CreateVerticalApertureAttr(13.5)
camera.CreateHorizontalApertureOffsetAttr(1.5)
camera.CreateVerticalApertureOffsetAttr(-0.75)
for index, code in enumerate(CODES):
    rotate.Set(Gf.Vec3f(10.0 + index, 20.0 - 5 * index, 30.0), code)
    orient.Set(Gf.Quatd(Gf.Rotation(Gf.Vec3d(1, 2, 3), 25.0 + 4 * index).GetQuat()), code)
    move.Set(Gf.Vec3d(5, index, 40), code)
    camera.GetFocalLengthAttr().Set(35.0 + index, code)
stage.Save()

found = []
for code in CODES:
    window = camera.GetCamera(code).frustum.window
    matrix = camera.ComputeLocalToWorldTransform(code)
    found.append({
        "matrix": [[matrix[row][column] for row in range(4)] for column in range(4)],
        "window": [*window.GetMin(), *window.GetMax()],
    })  # fmt: skip
with open(f"{FOLDER}/usd_core.json", "w") as file:
    json.dump({"codes": CODES, "frames": found}, file)
