"""Thumbnails of the example workflows: `python -m tests.workflow_pictures NAME ...` runs each in a ComfyUI and draws what it shows.

On top frames of its clips (the picture that it begins with, where it makes none), below the other pictures.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from raxel_core.video_io import read_video
from tests.in_comfy.comfy_server import ComfyServer, comfy_roots, interpreter_of
from tests.in_comfy.test_nodes_workflows import FOLDER, api_prompt, read

SIZE, GAP, BACKGROUND = (512, 384), 4, (18, 20, 26)
FRAMES = 4


def pictures_of(files: list[Path]) -> list[Image.Image]:
    """Pictures, of many or of a clip's frames the first, the last and two more."""
    if files[0].suffix == ".mp4":
        video = (read_video(files[0]).video.movedim(0, -1) + 1.0) * 127.5  # [F, H, W, 3]
        pictures = [Image.fromarray(frame.round().byte().numpy()) for frame in video]
    else:
        pictures = [Image.open(file).convert("RGB") for file in files]
    chosen = {round(i * (len(pictures) - 1) / (FRAMES - 1)) for i in range(FRAMES)}
    return [pictures[number] for number in sorted(chosen)]


def row(pictures: list[Image.Image], box: tuple[int, int], *, whole: bool) -> Image.Image:
    """Pictures side by side in a box (width, height): `whole`, or cut at their sides so that they fill it."""
    made, width = Image.new("RGB", box, BACKGROUND), (box[0] - GAP * (len(pictures) - 1)) // len(pictures)
    fit = ImageOps.pad if whole else ImageOps.fit
    for number, picture in enumerate(pictures):
        shown = fit(picture, (width, box[1]), Image.Resampling.LANCZOS, **({"color": BACKGROUND} if whole else {}))
        made.paste(shown, (number * (width + GAP), 0))
    return made


def thumbnail(shown: list[list[Image.Image]]) -> Image.Image:
    """The clips' frames, a row each, over what is one picture each."""
    clips, pictures = [frames for frames in shown if len(frames) > 1], [one[0] for one in shown if len(one) == 1]
    made, y = Image.new("RGB", SIZE, BACKGROUND), 0
    for frames in clips or [[pictures.pop(0)]]:
        height = (192, 128, 96)[len(clips)] if pictures else (SIZE[1] - GAP * (len(clips) - 1)) // len(clips)
        made.paste(row(frames, (SIZE[0], height), whole=False), (0, y))
        y += height + GAP
    if pictures:
        made.paste(row(pictures, (SIZE[0], SIZE[1] - y), whole=True), (0, y))
    return made


def shown_by(server: ComfyServer, prompt: dict[str, Any]) -> list[list[Image.Image]]:
    """What a prompt shows, one entry an output: frames of a clip or a picture; without a clip first what it loads."""
    outcome = server.run(prompt)
    assert outcome.status == "success", outcome.error
    outputs = [outcome.outputs[name]["images"] for name in prompt if "images" in outcome.outputs.get(name, {})]
    files = [[server.base / file["type"] / file["subfolder"] / file["filename"] for file in files] for files in outputs]
    shown = [pictures_of(group) for group in files]
    if any(len(pictures) > 1 for pictures in shown):
        return shown
    loaded = [node["inputs"]["image"] for node in prompt.values() if node["class_type"] == "LoadImage"]
    return [*(pictures_of([server.base / "input" / name]) for name in loaded[:1]), *shown]


def main(names: list[str]) -> None:
    (root, *_) = comfy_roots()
    with tempfile.TemporaryDirectory() as base:
        server = ComfyServer.start(root, interpreter_of(root) or Path(sys.executable), Path(base))
        try:
            for name in names:
                made = thumbnail(shown_by(server, api_prompt(read(FOLDER / f"{name}.json"))))
                made.save(FOLDER / f"{name}.jpg", quality=90, optimize=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
