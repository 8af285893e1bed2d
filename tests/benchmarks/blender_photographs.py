"""Photographs with exact cameras from Blender, places that no network of ours was trained on:

    blender -b -P tests/benchmarks/blender_photographs.py -- FOLDER FIRST LAST

Things with Blender's own textures on a plain under its sky, some before walls; eight photographs of each from up to 20 to
75 degrees to either side. FOLDER/place_NN holds them as nerfstudio does, for `evaluate --method ray_diffusion --data FOLDER`.
Everything follows from the number of the place.
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

SIDE, SAMPLES, PHOTOGRAPHS = 160, 24, 8
TEXTURES = ("Noise", "Voronoi", "Checker", "Brick", "Magic", "Wave")


def _material(r: random.Random) -> Any:
    """Two or more colours by one of Blender's textures, in the thing's own coordinates."""
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture = nodes.new(f"ShaderNodeTex{r.choice(TEXTURES)}")
    texture.inputs["Scale"].default_value = r.uniform(1.5, 7.0)
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Object"], texture.inputs["Vector"])
    ramp = nodes.new("ShaderNodeValToRGB")
    for element, place in zip(ramp.color_ramp.elements, (0.35, 0.65), strict=True):
        element.color, element.position = (*(r.random() ** 1.5 for _ in range(3)), 1.0), place
    for _ in range(r.randint(0, 2)):
        ramp.color_ramp.elements.new(r.uniform(0.4, 0.6)).color = (*(r.random() for _ in range(3)), 1.0)
    links.new(texture.outputs["Fac" if "Fac" in texture.outputs else "Distance"], ramp.inputs["Fac"])
    surface = nodes["Principled BSDF"]
    links.new(ramp.outputs["Color"], surface.inputs["Base Color"])
    surface.inputs["Roughness"].default_value = r.uniform(0.3, 0.9)
    return material


def _thing(r: random.Random) -> None:
    """A shape somewhere near the middle, turned and stretched."""
    place = (r.uniform(-2.6, 2.6), r.uniform(-2.6, 2.6), r.uniform(0.3, 0.9))
    mesh = bpy.ops.mesh
    rock = False
    kind = r.choice(("cube", "cylinder", "cone", "torus", "monkey", "rock", "ball"))
    if kind == "cube":
        mesh.primitive_cube_add(size=1.0, location=place)
    elif kind == "cylinder":
        mesh.primitive_cylinder_add(radius=0.4, depth=1.2, location=place)
    elif kind == "cone":
        mesh.primitive_cone_add(radius1=0.6, depth=1.4, location=place)
    elif kind == "torus":
        mesh.primitive_torus_add(major_radius=0.5, minor_radius=0.2, location=place)
    elif kind == "monkey":
        mesh.primitive_monkey_add(size=1.2, location=place)
    elif kind == "ball":
        mesh.primitive_uv_sphere_add(radius=0.5, location=place)
    else:
        mesh.primitive_ico_sphere_add(subdivisions=4, radius=0.6, location=place)
        rock = True
    thing = bpy.context.object
    thing.data.materials.append(_material(r))
    if rock:
        clouds = bpy.data.textures.new("clouds", "CLOUDS")
        clouds.noise_scale = 0.5
        bumps = thing.modifiers.new("bumps", "DISPLACE")
        bumps.texture, bumps.strength = clouds, 0.6
    size = r.uniform(0.6, 1.5)
    thing.scale = (size * r.uniform(0.7, 1.3), size * r.uniform(0.7, 1.3), size * r.uniform(0.7, 1.6))
    thing.rotation_euler = (r.uniform(-0.4, 0.4), r.uniform(-0.4, 0.4), r.uniform(0.0, math.tau))


def _wall(r: random.Random) -> None:
    """A wall behind the things."""
    angle, distance = r.uniform(-1.2, 1.2) + math.pi / 2, r.uniform(5.0, 9.0)
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=(distance * math.cos(angle), distance * math.sin(angle), 1.5))
    wall = bpy.context.object
    wall.data.materials.append(_material(r))
    wall.scale = (r.uniform(3.0, 9.0), 0.3, r.uniform(2.0, 6.0))
    wall.rotation_euler[2] = angle + math.pi / 2 + r.uniform(-0.3, 0.3)


def _sky(r: random.Random) -> None:
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    world.use_nodes = True
    sky = world.node_tree.nodes.new("ShaderNodeTexSky")
    sky.sky_type, sky.sun_intensity = "NISHITA", 0.4
    sky.sun_elevation, sky.sun_rotation = math.radians(r.uniform(15, 60)), r.uniform(0.0, math.tau)
    background = world.node_tree.nodes["Background"]
    background.inputs[1].default_value = 0.1
    world.node_tree.links.new(sky.outputs[0], background.inputs[0])


def _camera(r: random.Random) -> Any:
    data = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", data)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    data.sensor_fit, data.sensor_width, data.clip_start = "HORIZONTAL", 36.0, 0.05
    data.lens = 18.0 / math.tan(math.radians(r.uniform(42.0, 68.0)) / 2)
    return camera


def _renderer() -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising = SAMPLES, False
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x = scene.render.resolution_y = SIDE
    scene.render.image_settings.file_format, scene.view_settings.view_transform = "PNG", "Filmic"


def _place(camera: Any, r: random.Random, spread: float, distance: float) -> None:
    """Stand somewhere around the middle and look there, all but level."""
    azimuth, height = -math.pi / 2 + r.uniform(-1.0, 1.0) * spread, math.radians(r.uniform(6.0, 35.0))
    away = distance * r.uniform(0.8, 1.25)
    middle = Vector((r.uniform(-0.3, 0.3), r.uniform(-0.3, 0.3), 0.6 + r.uniform(-0.2, 0.3)))
    level = away * math.cos(height)
    here = Vector((level * math.cos(azimuth), level * math.sin(azimuth), 0.4 + away * math.sin(height)))
    camera.location = here
    camera.rotation_euler = (middle - here).to_track_quat("-Z", "Y").to_euler()
    camera.rotation_euler.rotate_axis("Z", math.radians(r.uniform(-4.0, 4.0)))
    bpy.context.view_layer.update()


def photograph(folder: Path, number: int) -> None:
    """The photographs of one place and their transforms.json."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    r = random.Random(9000 + number)
    _sky(r)
    bpy.ops.mesh.primitive_plane_add(size=60.0)
    bpy.context.object.data.materials.append(_material(r))
    for _ in range(r.randint(0, 3)):
        _wall(r)
    for _ in range(r.randint(7, 14)):
        _thing(r)
    camera = _camera(r)
    _renderer()
    spread, distance, frames = math.radians(r.uniform(20.0, 75.0)), r.uniform(5.0, 7.5), []
    for index in range(PHOTOGRAPHS):
        _place(camera, r, spread, distance)
        name = f"images/{index:03d}.png"
        bpy.context.scene.render.filepath = str(folder / name)
        bpy.ops.render.render(write_still=True)
        frames.append({"file_path": name, "transform_matrix": [list(row) for row in camera.matrix_world]})
    focal = SIDE * camera.data.lens / camera.data.sensor_width
    lens = {"w": SIDE, "h": SIDE, "fl_x": focal, "fl_y": focal, "cx": SIDE / 2, "cy": SIDE / 2}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}), encoding="utf-8")


def main(folder: str, first: str, last: str) -> None:
    """Photographs of the places FIRST to LAST - 1."""
    for number in range(int(first), int(last)):
        photograph(Path(folder).resolve() / f"place_{number:02d}", number)


main(*sys.argv[sys.argv.index("--") + 1 :])
