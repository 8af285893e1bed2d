"""The nodes in a real ComfyUI: each is run through POST /prompt, and what comes out is compared with the core's pipeline."""

from __future__ import annotations

import json
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from raxel_core.denoising import Run, SourceBatch, denoise_joint, denoise_rays, denoise_video
from raxel_core.framing import fit_video
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.pose import PoseRecoveryError
from raxel_core.paths.plan import make_move
from raxel_core.pipeline import Settings, Source, _source_batch, load_model, self_consistency
from raxel_core.raxel_model import EMBEDDED_MODEL
from raxel_core.sampling import camera_schedule, joint_schedule, pose_schedule
from raxel_core.training.synthetic import SPLITS, render_scenes
from tests.in_comfy.comfy_server import PACK
from tests.in_comfy.help_pages import LANGUAGES, PAGES, pages, with_tables
from tests.small_checkpoint import CONFIG, FRAMES, HW, MODEL_NAME, SHIFT, VAE_NAME

NODES = (
    "LoadRaxelModel",
    "RaxelSources",
    "CameraTrajectoryBuilder",
    "RaxelEncode",
    "JointSampler",
    "RaxelsToPoses",
    "SelfConsistencyLoop",
    "RaxelTrajectoryPreview",
    "RaxelSampler",
    "RaxelSchedule",
    "JoinRaxelLatent",
    "SplitRaxelLatent",
    "RaxelFitVideo",
    "RaxelExampleScene",
    "LoadRayPE",
    "LoadRayPEExpert",
    "ApplyRayPE",
    "RaxelLoadCamera",
    "RaxelSaveCamera",
    "RaxelNearDepth",
    "RaxelWarp",
    "RaxelCheckTrajectory",
)
TOLERANCE = 2e-5  # float32 through two versions of torch


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def clip_images(seed=0, frames=FRAMES, hw=HW):
    """A smooth random clip [F, H, W, 3] in [0, 1]."""
    coarse = torch.rand(1, 3, frames, 6, 8, generator=torch.Generator().manual_seed(seed))
    size = (frames, *hw)
    return torch.nn.functional.interpolate(coarse, size=size, mode="trilinear")[0].movedim(0, -1).contiguous()


def given(comfy, name, images):
    """Put images into ComfyUI's input folder, for the node that reads them back exactly."""
    save_file({"image": images}, comfy.base / "input" / f"{name}.safetensors")
    return node("RaxelProbeTensor", name=name)


@pytest.fixture
def graph(comfy):
    """The part every prompt starts from: checkpoint, clip, its latent, a path and its rays."""
    return {
        "load": node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors"),
        "clip": given(comfy, "clip", clip_images()),
        "video": node("VAEEncode", pixels=["clip", 0], vae=["load", 1]),
        "path": node(
            "CameraTrajectoryBuilder",
            path={"plan": {"moves": [{"move": "orbit", "amount_degrees": 20.0, "easing": "smooth"}]}},
            frames=FRAMES,
            width=HW[1],
            height=HW[0],
        ),
        "rays": node("RaxelEncode", model=["load", 0], vae=["load", 1], trajectory=["path", 0]),
    }


@pytest.fixture
def core(comfy):
    """The same checkpoint in the standalone core."""
    models = comfy.base / "models"
    vae = models / "vae" / f"{VAE_NAME}.safetensors"
    return load_model(models / "diffusion_models" / f"{MODEL_NAME}.safetensors", vae=vae)


def sampler(task, /, **inputs):
    return node(
        "JointSampler",
        **{"model": ["load", 0], "task": task, "seed": 7, "steps": 4, "ray_steps": 2, "cfg": 1.0} | inputs,
    )


def sources(**inputs):
    return node(
        "RaxelSources", **{"model": ["load", 0], "vae": ["load", 1], "images": ["shown", 0], "frames": "0, 8"} | inputs
    )


def clip_video():
    """The clip as the core takes it [3, F, H, W] in [-1, 1]."""
    return (clip_images() * 2 - 1).movedim(-1, 0)


def orbit():
    return make_move("orbit", FRAMES, hw=HW, amount=torch.pi / 9, easing="smooth")


def source_batch(camera=None):
    video, frames = clip_video(), (0, 8)
    cameras = [None if camera is None else camera[f] for f in frames]
    return _source_batch([Source(video[:, f], f, c) for f, c in zip(frames, cameras, strict=True)], frames=FRAMES)


def shown_images():
    return clip_images()[[0, 8]].contiguous()


def test_every_node_is_told_in_full(comfy):
    """Each node has a category, a title, a description, tooltips, and a page whose tables are the schema's (to write
    them: python -m tests.in_comfy.help_pages)."""
    assert "IMPORT FAILED" not in comfy.log
    nodes = {name: info for name, info in comfy.get("/object_info").items() if info["category"].startswith("raxel")}
    assert set(NODES) <= nodes.keys()
    assert nodes["LoadRaxelModel"]["python_module"].endswith("raxel")
    for name, info in nodes.items():
        assert info["description"] and info["display_name"], name
        widgets = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        assert all(options[1].get("tooltip") for options in widgets.values()), name
        assert all(info["output_tooltips"]), name
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {info['display_name']}\n"), name
        assert with_tables(page, info) == page, name
        assert all(f"| `{word}` |" in page for word in (*widgets, *info["output_name"])), name
        assert comfy.text(f"/extensions/raxel/docs/{name}.md") == page


TRANSLATED = (
    "LoadRaxelModel", "RaxelSources", "RaxelEncode", "JointSampler", "RaxelsToPoses", "SelfConsistencyLoop",
    "CameraTrajectoryBuilder", "RaxelLoadCamera", "RaxelSaveCamera", "RaxelWarp",
)  # fmt: skip


def test_the_main_nodes_are_told_in_every_language(comfy):
    nodes = comfy.get("/object_info")
    translated = {(node, language): path for path, node, language in pages() if language != "en"}
    assert set(translated) >= {(node, language) for node in TRANSLATED for language in LANGUAGES if language != "en"}
    for (node, language), path in translated.items():
        page = path.read_text(encoding="utf-8")
        title = json.loads((PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))[node]
        assert page.startswith(f"# {title['display_name']}\n"), path
        assert with_tables(page, nodes[node], language) == page, path
        assert page.count("|---|---|---|") == (PAGES / f"{node}.md").read_text(encoding="utf-8").count("|---|---|---|")
        assert comfy.text(f"/extensions/raxel/docs/{node}/{language}.md") == page


def test_pose_gives_the_pipelines_cameras_and_keeps_the_video_to_the_bit(comfy, graph, core):
    graph["pose"] = sampler("pose", latent=["video", 0])
    encoded, posed = comfy.probe(graph, ["video", 0], ["pose", 0])
    assert torch.equal(encoded["samples"], posed["video"])
    expected = denoise_rays(core, clip_video()[None], run=Run(pose_schedule(2), seeds=(7,)))
    torch.testing.assert_close(core.vae.decode(posed["rays"]), expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("cfg", [1.0, 2.5])
def test_camera_gives_the_pipelines_video_and_keeps_the_rays_to_the_bit(comfy, graph, core, cfg):
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["sources"] = sources()
    graph["made"] = sampler("camera", latent=["rays", 0], positive=["sources", 0], cfg=cfg)
    graph["images"] = node("VAEDecode", samples=["made", 0], vae=["load", 1])
    rays, made, images = comfy.probe(graph, ["rays", 0], ["made", 0], ["images", 0])
    assert torch.equal(rays["rays"], made["rays"])
    assert rays["ray_mask"].max() == 0.0
    assert rays["video_mask"].min() == 1.0
    run = Run(camera_schedule(4, shift=SHIFT), seeds=(7,), source_guidance=cfg)
    expected = denoise_video(core, source_batch(), orbit().camera[None], HW, run=run)
    found = images["tensor"].movedim(-1, 0)[None] * 2 - 1
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_an_image_beside_the_path_is_the_origin_as_in_the_pipeline(comfy, graph, core):
    """Two images with cameras of their own, the second taken 8 frames before the clip from where the orbit ends."""
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["own"] = node("CameraTrajectoryBuilder", **{**graph["path"]["inputs"], "frames": 2})
    graph["beside"] = sources(frames="8, -8", cameras=["own", 0])
    graph["along"] = node("RaxelEncode", **{**graph["rays"]["inputs"], "sources": ["beside", 0]})
    graph["made"] = sampler("camera", latent=["along", 0], positive=["beside", 0], cfg=2.5)
    own, made = comfy.probe(graph, ["own", 0], ["made", 0])
    cameras = Camera(own["world_from_cam"], own["K"], HW)
    assert float(se3.geodesic(cameras.rotation[0], cameras.rotation[1])) > 0.3
    video = clip_video()
    batch = SourceBatch(video[None, :, [8, 0]], (-8, 8), cameras[[1, 0]][None], (-8, 8))
    run = Run(camera_schedule(4, shift=SHIFT), seeds=(7,), source_guidance=2.5)
    expected = denoise_video(core, batch, orbit().camera[None], HW, run=run)
    decoded = core.vae.decode(made["video"]).clamp(-1, 1)
    torch.testing.assert_close(decoded, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize(("mode", "solver"), [("first", "euler"), ("together", "multistep")])
def test_joint_gives_the_pipelines_video_and_cameras(comfy, graph, core, mode, solver):
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["sources"] = sources(trajectory=["path", 0])
    graph["made"] = sampler("joint", positive=["sources", 0], mode=mode, solver=solver, cfg=2.0, shift=3.0)
    (made,) = comfy.probe(graph, ["made", 0])
    ray_steps = 2 if mode == "first" else None
    schedule = joint_schedule(4, ray_steps, mode=mode, shift=3.0)
    run = Run(schedule, seeds=(7,), solver=solver, source_guidance=2.0)
    video, rays = denoise_joint(core, source_batch(orbit().camera), FRAMES, HW, run=run)
    torch.testing.assert_close(core.vae.decode(made["rays"]), rays, atol=TOLERANCE, rtol=TOLERANCE)
    decoded = core.vae.decode(made["video"]).clamp(-1, 1)
    torch.testing.assert_close(decoded, video, atol=TOLERANCE, rtol=TOLERANCE)


def test_raxels_of_a_path_are_read_back_as_that_path(comfy, graph):
    graph["read"] = node("RaxelsToPoses", model=["load", 0], vae=["load", 1], latent=["rays", 0])
    graph["drawn"] = node("RaxelTrajectoryPreview", trajectory=["path", 0], compare=["read", 0], width=256, height=256)
    read, raxels, report, drawn = comfy.probe(graph, ["read", 0], ["read", 1], ["read", 2], ["drawn", 0])
    truth = orbit().camera
    found = Camera(read["world_from_cam"], read["K"], HW)
    assert float(se3.geodesic(found.rotation, truth.rotation).max().rad2deg()) < 1.5
    assert float((found.center - truth.center).norm(dim=-1).max()) < 0.03
    assert float((found.focal / truth.focal - 1).abs().max()) < 0.02
    assert raxels["tensor"].shape == (FRAMES, 32, 48, 3)
    assert json.loads(bytes(report["text"].tolist()))["frames"] == FRAMES
    assert drawn["tensor"].shape == (1, 256, 256, 3)
    assert drawn["tensor"].std() > 0.02


def test_of_raxels_it_is_not_said_that_they_are_of_footage(comfy, graph):
    graph["load"] = node("LoadRaxelModel", model_name="raxel-tiny (embedded)")
    graph["read"] = node("RaxelsToPoses", model=["load", 0], vae=["load", 1], latent=["rays", 0])
    (report,) = comfy.probe(graph, ["read", 2])
    verdict = json.loads(bytes(report["text"].tolist()))["verdict"]
    assert "If these pictures are filmed, solve them: this checkpoint has seen ray-traced scenes alone" in verdict
    assert "(it has seen" not in verdict and "solve it" not in verdict


def test_a_video_is_fitted_by_time_and_source_images_are_all_kept(comfy, graph):
    graph["fast"] = given(comfy, "fast", clip_images(frames=33, hw=(72, 128)))
    graph["fitted"] = node("RaxelFitVideo", model=["load", 0], images=["fast", 0], fps=24.0, start=0.25)
    graph["kept"] = node("RaxelFitVideo", model=["load", 0], images=["clip", 0], fps=0.0)
    graph["spread"] = node("RaxelFitVideo", model=["load", 0], images=["fast", 0], fps=12.0, speed=2.0)
    links = (["fitted", 0], ["kept", 0], ["fitted", 1], ["spread", 1])
    fitted, kept, rate, spread = comfy.probe(graph, *links)
    assert torch.equal(kept["tensor"], clip_images())
    assert (float(rate["tensor"]), float(spread["tensor"])) == (8.0, 4.0)
    assert fitted["tensor"].shape == (FRAMES, *HW, 3)
    picked = clip_images(frames=33, hw=(72, 128))[6:33:3]
    expected = (fit_video((picked * 2 - 1).movedim(-1, 0), HW)[0].movedim(0, -1) + 1) / 2
    torch.testing.assert_close(fitted["tensor"], expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_an_example_scene_is_the_test_splits_with_its_true_cameras(comfy, graph):
    graph["scene"] = node("RaxelExampleScene", model=["load", 0], scene=3)
    images, path = comfy.probe(graph, ["scene", 0], ["scene", 1])
    truth = render_scenes([SPLITS["test"][3]], frames=FRAMES, hw=HW)
    torch.testing.assert_close(images["tensor"], (truth.video[0].movedim(0, -1) + 1) / 2, atol=1e-3, rtol=1e-3)
    relative = truth.camera[0].relative_to(truth.camera[0, 0])
    found = Camera(path["world_from_cam"], path["K"], HW)
    torch.testing.assert_close(found.rotation, relative.rotation, atol=1e-5, rtol=1e-5)
    near = float(truth.near_depth[0, 0])
    torch.testing.assert_close(found.center * near, relative.center, atol=1e-4, rtol=1e-4)


def test_samplercustomadvanced_with_our_sampler_equals_jointsampler(comfy, graph):
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["sources"] = sources()
    graph["joint"] = sampler("joint", latent=["video", 0], positive=["sources", 0], ray_steps=3)
    graph["join"] = node("JoinRaxelLatent", model=["load", 0], video=["video", 0], task="joint")
    graph["noise"] = node("RandomNoise", noise_seed=7)
    graph["guider"] = node("BasicGuider", model=["load", 0], conditioning=["sources", 0])
    graph["sampler"] = node("RaxelSampler", mode="first", ray_steps=3)
    graph["sigmas"] = node("RaxelSchedule", steps=4, shift=SHIFT)
    graph["custom"] = node(
        "SamplerCustomAdvanced",
        noise=["noise", 0],
        guider=["guider", 0],
        sampler=["sampler", 0],
        sigmas=["sigmas", 0],
        latent_image=["join", 0],
    )
    graph["stock"] = node("BasicScheduler", model=["load", 0], scheduler="simple", steps=4, denoise=1.0)
    joint, custom, denoised, own, stock = comfy.probe(
        graph, ["joint", 0], ["custom", 0], ["custom", 1], ["sigmas", 0], ["stock", 0]
    )
    torch.testing.assert_close(own["tensor"], stock["tensor"], atol=1e-6, rtol=0)
    for name in ("video", "rays"):
        torch.testing.assert_close(joint[name], custom[name], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(joint[name], denoised[name], atol=1e-5, rtol=1e-5)


def test_a_shift_put_on_the_model_is_followed_by_all_samplers(comfy, graph):
    """At 0.2 ComfyUI's own first noise level is rounded to more than 1."""
    graph["shifted"] = node("ModelSamplingSD3", model=["load", 0], shift=0.2)
    graph["own"] = sampler("joint", latent=["video", 0], model=["shifted", 0], ray_steps=3)
    graph["told"] = sampler("joint", latent=["video", 0], ray_steps=3, shift=0.2)
    graph["join"] = node("JoinRaxelLatent", model=["load", 0], video=["video", 0], task="joint")
    graph["none"] = node(
        "RaxelSources", model=["load", 0], vae=["load", 1], images=["clip", 0], frames="0 1 2 3 4 5 6 7 8"
    )
    graph["noise"] = node("RandomNoise", noise_seed=7)
    graph["guider"] = node("BasicGuider", model=["shifted", 0], conditioning=["none", 1])
    graph["sampler"] = node("RaxelSampler", mode="first", ray_steps=3)
    graph["sigmas"] = node("BasicScheduler", model=["shifted", 0], scheduler="simple", steps=4, denoise=1.0)
    parts = {"noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["sampler", 0], "sigmas": ["sigmas", 0]}
    graph["stock"] = node("SamplerCustomAdvanced", latent_image=["join", 0], **parts)
    own, told, stock, sigmas = comfy.probe(graph, ["own", 0], ["told", 0], ["stock", 0], ["sigmas", 0])
    assert sigmas["tensor"][0] > 1
    for name in ("video", "rays"):
        torch.testing.assert_close(own[name], told[name], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(own[name], stock[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("task", ["pose", "camera", "joint"])
def test_stock_ksampler_runs_each_task_and_keeps_what_is_given(comfy, graph, task):
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["sources"] = sources()
    graph["split"] = node("SplitRaxelLatent", latent=["rays", 0])
    graph["join"] = node("JoinRaxelLatent", model=["load", 0], video=["video", 0], task=task, rays=["split", 1])
    graph["made"] = node(
        "KSampler",
        model=["load", 0],
        positive=["sources", 0],
        negative=["sources", 1],
        latent_image=["join", 0],
        seed=7,
        steps=3,
        cfg=2.0,
        sampler_name="dpmpp_2m",
        scheduler="simple",
        denoise=1.0,
    )
    join, made = comfy.probe(graph, ["join", 0], ["made", 0])
    for name, keeps in (("video", task == "pose"), ("rays", task == "camera")):
        assert bool(torch.isfinite(made[name]).all())
        assert torch.equal(join[name], made[name]) == keeps


def test_a_mask_keeps_frames_of_the_video_to_the_bit(comfy, graph):
    mask = torch.ones(3, HW[0] // 8, HW[1] // 8)
    mask[0] = 0
    graph["mask_image"] = given(comfy, "mask", mask[..., None].repeat(1, 1, 1, 3).contiguous())
    graph["mask"] = node("ImageToMask", image=["mask_image", 0], channel="red")
    graph["join"] = node("JoinRaxelLatent", model=["load", 0], video=["video", 0], task="joint")
    graph["masked"] = node("SetLatentNoiseMask", samples=["join", 0], mask=["mask", 0])
    graph["noise"] = node("RandomNoise", noise_seed=3)
    graph["none"] = node(
        "RaxelSources", model=["load", 0], vae=["load", 1], images=["clip", 0], frames="0 1 2 3 4 5 6 7 8"
    )
    graph["guider"] = node("BasicGuider", model=["load", 0], conditioning=["none", 1])
    graph["sampler"] = node("RaxelSampler", mode="together", ray_steps=2)
    graph["sigmas"] = node("RaxelSchedule", steps=3, shift=1.0)
    graph["made"] = node(
        "SamplerCustomAdvanced",
        noise=["noise", 0],
        guider=["guider", 0],
        sampler=["sampler", 0],
        sigmas=["sigmas", 0],
        latent_image=["masked", 0],
    )
    join, made = comfy.probe(graph, ["join", 0], ["made", 0])
    assert torch.equal(join["video"][:, :, 0], made["video"][:, :, 0])
    assert not torch.equal(join["video"][:, :, 1:], made["video"][:, :, 1:])


def test_jointsampler_minds_a_mask_on_the_video(comfy, graph):
    mask = torch.zeros(3, HW[0] // 8, HW[1] // 8)
    mask[1:, :, 6:] = 1
    graph["mask_image"] = given(comfy, "half", mask[..., None].repeat(1, 1, 1, 3).contiguous())
    graph["mask"] = node("ImageToMask", image=["mask_image", 0], channel="red")
    graph["masked"] = node("SetLatentNoiseMask", samples=["video", 0], mask=["mask", 0])
    graph["made"] = sampler("joint", latent=["masked", 0])
    video, made = comfy.probe(graph, ["video", 0], ["made", 0])
    kept = (mask == 0).expand(1, 48, -1, -1, -1)
    assert torch.equal(video["samples"][kept], made["video"][kept])
    assert not torch.isclose(video["samples"][~kept], made["video"][~kept]).all()


def test_two_queues_with_one_seed_agree_to_the_bit_and_another_seed_does_not(comfy, graph):
    runs = []
    for seed in (11, 12, 11):
        graph["made"] = sampler("joint", seed=seed)
        runs.append(comfy.probe(graph, ["made", 0])[0])
    for name in ("video", "rays"):
        assert torch.equal(runs[0][name], runs[2][name])
        assert not torch.equal(runs[0][name], runs[1][name])


def test_an_interrupted_run_ends_and_the_next_one_works(comfy, graph):
    graph["made"] = sampler("joint", steps=1000, seed=1)
    graph["out"] = node("RaxelProbe", value=["made", 0], name="interrupted")
    started = comfy.queue(graph)
    while comfy.log.count("/1000 [") < 2:
        time.sleep(0.02)
    comfy.post("/interrupt", {})
    assert comfy.wait(started).status == "interrupted"
    graph["made"] = sampler("joint", steps=2, seed=1)
    (made,) = comfy.probe({name: part for name, part in graph.items() if name != "out"}, ["made", 0])
    assert bool(torch.isfinite(made["video"]).all())


def test_a_compiled_network_sees_the_noise_levels_change(comfy, graph):
    graph["compiled"] = node("RaxelProbeCompile", model=["load", 0])
    graph["plain_made"] = sampler("joint", seed=5)
    graph["compiled_made"] = sampler("joint", seed=5, model=["compiled", 0])
    plain, compiled = comfy.probe(graph, ["plain_made", 0], ["compiled_made", 0])
    for name in ("video", "rays"):
        torch.testing.assert_close(plain[name], compiled[name], atol=1e-6, rtol=1e-6)


def test_a_lora_in_wans_naming_changes_the_video(comfy, graph):
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for index in range(CONFIG.layers):
        path = f"diffusion_model.blocks.{index}.self_attn.q"
        weights[f"{path}.lora_A.weight"] = torch.randn(4, CONFIG.dim, generator=generator)
        weights[f"{path}.lora_B.weight"] = torch.randn(CONFIG.dim, 4, generator=generator)
    (comfy.base / "models" / "loras").mkdir(exist_ok=True)
    save_file(weights, comfy.base / "models" / "loras" / "wan.safetensors")
    made = {}
    for strength in (0.0, 1.0):
        graph["lora"] = node(
            "LoraLoaderModelOnly", model=["load", 0], lora_name="wan.safetensors", strength_model=strength
        )
        graph["made"] = sampler("joint", seed=5, model=["lora", 0])
        (made[strength],) = comfy.probe(graph, ["made", 0])
    assert not torch.allclose(made[0.0]["video"], made[1.0]["video"], atol=1e-3)
    assert "lora key not loaded" not in comfy.log


def test_the_loop_gives_the_pipelines_cameras_and_video(comfy):
    core = load_model()
    scene = render_scenes([SPLITS["test"][3]], frames=core.recipe.frames, hw=core.recipe.hw).video[0]
    graph = {
        "load": node("LoadRaxelModel", model_name=f"{EMBEDDED_MODEL} (embedded)"),
        "clip": given(comfy, "scene", ((scene + 1) / 2).movedim(0, -1).contiguous()),
        "loop": node(
            "SelfConsistencyLoop", model=["load", 0], vae=["load", 1], images=["clip", 0], seed=5, steps=3, ray_steps=2
        ),
    }
    try:
        expected = self_consistency(core, scene, Settings(steps=3, seed=5))
    except PoseRecoveryError as error:  # a checkpoint too weak to read its own video says the same in both
        assert str(error) in comfy.run({**graph, "out": node("RaxelProbe", value=["loop", 0], name="loop")}).error
        return
    images, first, second, report = comfy.probe(graph, *(["loop", output] for output in range(4)))
    video = (images["tensor"] * 2 - 1).movedim(-1, 0)
    torch.testing.assert_close(video, expected.video, atol=2e-3, rtol=1e-3)
    for found, truth in ((first, expected.first), (second, expected.second)):
        torch.testing.assert_close(
            found["world_from_cam"], truth.trajectory.camera.world_from_cam, atol=2e-3, rtol=1e-3
        )
    figures = json.loads(bytes(report["text"].tolist()))["cameras"]["figures"]
    assert figures["rotation_error"] >= 0


DAMAGE = {
    "cut": "is truncated",
    "missing": "is missing tensors (1): video_head.head.bias",
    "surplus": "has surplus tensors (1): extra",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(comfy, damage):
    folder = comfy.base / "models" / "diffusion_models"
    whole, path = folder / f"{MODEL_NAME}.safetensors", folder / f"{damage}.safetensors"
    with safe_open(whole, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if damage == "cut":
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    else:
        kept = {name: tensor for name, tensor in tensors.items() if name != "video_head.head.bias"}
        save_file(kept if damage == "missing" else {**tensors, "extra": torch.zeros(1)}, path, metadata)
    graph = {"load": node("LoadRaxelModel", model_name=path.name), "made": sampler("joint")}
    outcome = comfy.run({**graph, "out": node("RaxelProbe", value=["made", 0], name="damaged")})
    path.unlink()
    assert outcome.status == "error"
    assert DAMAGE[damage] in outcome.error
    assert len(outcome.error.strip().splitlines()) == 1


def test_stock_loaders_open_raxel_checkpoints(comfy, graph):
    graph["saved"] = node("ModelSave", model=["load", 0], filename_prefix="saved/raxel")
    assert comfy.run(graph).status == "success"
    saved = next((comfy.base / "output" / "saved").glob("*.safetensors"))
    saved.rename(comfy.base / "models" / "diffusion_models" / "raxel-saved.safetensors")
    for name in (f"{MODEL_NAME}.safetensors", "raxel-saved.safetensors"):
        graph["stock"] = node("UNETLoader", unet_name=name, weight_dtype="default")
        graph["own"] = sampler("joint", seed=5)
        graph["stock_made"] = sampler("joint", seed=5, model=["stock", 0])
        own, stock = comfy.probe({k: v for k, v in graph.items() if k != "saved"}, ["own", 0], ["stock_made", 0])
        assert torch.equal(own["video"], stock["video"])
    assert "raxel-saved.safetensors" in json.dumps(comfy.get("/object_info/LoadRaxelModel"))


def test_an_empty_stock_latent_becomes_a_joint_one(comfy, graph):
    if comfy.version < (0, 33):
        pytest.skip("ComfyUI before 0.33 has no hook for empty latents")
    graph["empty"] = node("EmptyHunyuanLatentVideo", width=HW[1], height=HW[0], length=FRAMES, batch_size=1)
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["sources"] = sources()
    graph["made"] = node(
        "KSampler",
        model=["load", 0],
        positive=["sources", 0],
        negative=["sources", 1],
        latent_image=["empty", 0],
        seed=7,
        steps=2,
        cfg=1.0,
        sampler_name="euler",
        scheduler="simple",
        denoise=1.0,
    )
    (made,) = comfy.probe(graph, ["made", 0])
    assert made["rays"].shape == (1, 48, 3, 4, 6)


BAD = {
    "a pose run without a video": (lambda g: sampler("pose"), "the task pose needs a latent"),
    "a pose run on an empty video": (
        lambda g: sampler("pose", latent=["rays", 0]),
        "the video in this latent is empty",
    ),
    "a camera run with a video": (
        lambda g: sampler("camera", latent=["video", 0]),
        "connect Raxel Encode, not a video",
    ),
    "a joint clip of 8 frames": (lambda g: sampler("joint", frames=8), "the nearest such count is 9"),
    "rays relative to another frame": (
        lambda g: sampler("camera", latent=["rays", 0], positive=["late", 0]),
        "reference_frame to 4",
    ),
    "a source of another size": (
        lambda g: sampler("camera", latent=["rays", 0], positive=["small", 0]),
        "the source images are 32x48 pixels high and wide and the video is 64x96",
    ),
    "a source after the end": (
        lambda g: sampler("joint", frames=5, positive=["sources", 0]),
        "a source image shows frame 8, but the clip has 5 frames, numbered from 0",
    ),
    "a plain latent to split": (lambda g: node("SplitRaxelLatent", latent=["video", 0]), "takes a joint latent"),
    "frame numbers that are none": (lambda g: sources(frames="first"), "got 'first'"),
    "too few frame numbers": (lambda g: sources(frames="0"), "2 source images need 2 frame numbers, got 1"),
    "a path of 10 frames": (
        lambda g: node("RaxelEncode", **{**g["rays"]["inputs"], "trajectory": ["ten", 0]}),
        "got 10; the nearest such count is 9",
    ),
    "a path of an odd width": (
        lambda g: node("RaxelEncode", **{**g["rays"]["inputs"], "trajectory": ["odd", 0]}),
        "resize it to 64x96",
    ),
    "a video that is too short": (
        lambda g: node("RaxelFitVideo", model=["load", 0], images=["clip", 0], fps=30.0),
        "need 1.03 s of video, got 0.30 s",
    ),
    "frames picked at no rate": (
        lambda g: node("RaxelFitVideo", model=["load", 0], images=["clip", 0], fps=0.0, start=1.0),
        "fps 0 keeps every image and picks none, got start 1, frames 0 and speed 1",
    ),
    "a loop of one picture": (
        lambda g: node(
            "SelfConsistencyLoop", model=["load", 0], vae=["load", 1], images=["tiny", 0], seed=0, steps=1, ray_steps=1
        ),
        "connect 2 images or more, got 1",
    ),
    "noise as cameras": (
        lambda g: node("RaxelsToPoses", model=["load", 0], vae=["load", 1], latent=["made", 0]),
        "frame",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_answered_in_one_sentence(comfy, graph, case):
    build, sentence = BAD[case]
    graph["shown"] = given(comfy, "shown", shown_images())
    graph["tiny"] = given(comfy, "tiny", clip_images(frames=1, hw=(32, 48)))
    graph["sources"] = sources()
    graph["late"] = sources(frames="4, 8")
    graph["small"] = sources(images=["tiny", 0], frames="0")
    graph["ten"] = node("CameraTrajectoryBuilder", **{**graph["path"]["inputs"], "frames": 10})
    graph["odd"] = node("CameraTrajectoryBuilder", **{**graph["path"]["inputs"], "width": 100})
    graph["made"] = sampler("joint", steps=1, ray_steps=1)
    graph["bad"] = build(graph)
    graph["out"] = node("RaxelProbe", value=["bad", 0], name="bad")
    outcome = comfy.run(graph)
    assert outcome.status == "error"
    assert sentence in outcome.error
    assert len(outcome.error.strip().splitlines()) == 1
