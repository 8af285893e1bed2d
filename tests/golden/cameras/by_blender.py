"""How blender.* came to be: Blender 4.5.3 (module bpy), its USD and glTF exporters and the add-on io_anim_nuke_chan.

    python by_blender.py FOLDER

A camera on a turned parent, keys on place, rotation and lens; the .usda has a lens shift, which the others cannot
hold. blender.json is Blender's own matrix_world, and K from its projection matrix, at frames 1 to 4.
"""

import json
import sys

import bpy

FRAMES = range(1, 5)
FOLDER = sys.argv[-1]


def build():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = 832, 480, 24
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    data = bpy.data.cameras.new("Shot")
    # The .chan has the vertical angle of this sensor; Blender's own would not fit the image.
    data.sensor_height = data.sensor_width * 480 / 832
    camera, rig = bpy.data.objects.new("Shot", data), bpy.data.objects.new("Rig", None)
    for thing in (rig, camera):
        scene.collection.objects.link(thing)
    camera.parent, scene.camera = rig, camera
    rig.location, rig.rotation_euler = (0.5, 0.0, 1.5), (0.0, 0.0, 0.3)
    for f in FRAMES:
        camera.location = (0.25 * f, -2.0 + 0.1 * f * f, 0.3)
        camera.rotation_euler = (1.4 + 0.02 * f, 0.1, -0.2 + 0.05 * f)
        data.lens = 30.0 + 5.0 * f
        camera.keyframe_insert("location", frame=f)
        camera.keyframe_insert("rotation_euler", frame=f)
        data.keyframe_insert("lens", frame=f)
    return scene, camera


def truth(scene, camera):
    frames = []
    for f in FRAMES:
        scene.frame_set(f)
        graph = bpy.context.evaluated_depsgraph_get()
        projection = camera.evaluated_get(graph).calc_matrix_camera(graph, x=832, y=480, scale_x=1, scale_y=1)
        K = [416 * projection[0][0], 240 * projection[1][1], 416 * (1 - projection[0][2]), 240 * (1 + projection[1][2])]
        frames.append({"matrix_world": [list(row) for row in camera.evaluated_get(graph).matrix_world], "K": K})
    return frames


scene, camera = build()
found = {"version": bpy.app.version_string, "centred": truth(scene, camera)}
import addon_utils  # noqa: E402 - bpy brings it

addon_utils.enable("io_anim_nuke_chan")
bpy.context.view_layer.objects.active = camera
bpy.ops.export.export_chan(filepath=f"{FOLDER}/blender.chan", rotation_order="ZXY", y_up=True)
bpy.ops.export_scene.gltf(
    filepath=f"{FOLDER}/blender.glb", export_cameras=True, export_animations=True, export_pointer_animation=True,
    export_convert_animation_pointer=True, export_force_sampling=True, export_animation_mode="SCENE",
)  # fmt: skip
camera.data.shift_x, camera.data.shift_y = 0.02, -0.01
found["shifted"] = truth(scene, camera)
bpy.ops.wm.usd_export(filepath=f"{FOLDER}/blender.usda", export_animation=True)
with open(f"{FOLDER}/blender.json", "w") as file:
    json.dump(found, file)
