"""Run by Blender (or a Python with the module bpy) in the background: what a file becomes there, as JSON.

    python blender_camera.py JOB.json     or     blender --background --factory-startup --python blender_camera.py -- JOB.json

The job names a `file` to open, `how` (script, usd, gltf, chan), `frames`, `width`, `height`, `fps`, and where to put
the `result`: for each frame the camera's matrix_world, and K from Blender's own projection matrix.
"""

import json
import runpy
import sys

import bpy


def empty_scene(job):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = job["width"], job["height"], 100
    render.fps, render.fps_base = job["fps"], 1.0


def lacks(what):
    """End with the sentence at which the test is skipped."""
    raise LookupError(f"this Blender lacks {what}")


def import_usd(file):
    if not hasattr(bpy.types, "WM_OT_usd_import"):
        lacks("the import of USD")
    bpy.ops.wm.usd_import(filepath=file)


def import_gltf(file):
    if bpy.app.version < (4, 3, 0):
        lacks("KHR_animation_pointer in its import of glTF (from 4.3 on)")
    bpy.ops.import_scene.gltf(filepath=file)


def import_chan(file):
    import addon_utils

    names = [module.__name__ for module in addon_utils.modules() if module.__name__.endswith("io_anim_nuke_chan")]
    if not names:
        lacks("the add-on io_anim_nuke_chan (an extension since 4.2)")
    addon_utils.enable(names[0])
    camera = bpy.data.objects.new("chan", bpy.data.cameras.new("chan"))
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.view_layer.objects.active = camera
    width, height = bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y
    sensor = {"sensor_width": 36.0, "sensor_height": 36.0 * height / width}
    bpy.ops.import_scene.import_chan(filepath=file, rotation_order="ZXY", z_up=True, **sensor)


def open_file(job):
    how, file = job["how"], job["file"]
    if how == "script":
        runpy.run_path(file)
    elif how == "usd":
        import_usd(file)
    elif how == "gltf":
        import_gltf(file)
    else:
        import_chan(file)


def camera_at(frame):
    scene = bpy.context.scene
    scene.frame_set(int(frame), subframe=frame - int(frame))
    graph = bpy.context.evaluated_depsgraph_get()
    camera = next(thing for thing in scene.objects if thing.type == "CAMERA").evaluated_get(graph)
    render = scene.render
    width, height = render.resolution_x, render.resolution_y
    aspects = {"scale_x": render.pixel_aspect_x, "scale_y": render.pixel_aspect_y}
    projection = camera.calc_matrix_camera(graph, x=width, y=height, **aspects)
    # OpenGL clip coordinates: u = width / 2 (P00 x / -z - P02 + 1), v = height / 2 (1 - P11 y / -z + P12).
    fx, fy = 0.5 * width * projection[0][0], 0.5 * height * projection[1][1]
    cx, cy = 0.5 * width * (1 - projection[0][2]), 0.5 * height * (1 + projection[1][2])
    return {"matrix_world": [list(row) for row in camera.matrix_world], "K": [fx, fy, cx, cy], "lens": camera.data.lens}


def main(path):
    with open(path) as file:
        job = json.load(file)
    empty_scene(job)
    open_file(job)
    scene = bpy.context.scene
    result = {
        "version": bpy.app.version_string,
        "frames": [camera_at(frame) for frame in job["frames"]],
        "fps": scene.render.fps / scene.render.fps_base,
        "range": [scene.frame_start, scene.frame_end],
        "size": [scene.render.resolution_x, scene.render.resolution_y],
        "names": [thing.name for thing in scene.objects],
        "backgrounds": [
            [
                picture.image.source,
                picture.image_user.frame_start,
                picture.image_user.frame_duration,
                picture.image_user.frame_offset,
            ]
            for data in bpy.data.cameras
            for picture in data.background_images
        ],
    }
    with open(job["result"], "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[-1])
