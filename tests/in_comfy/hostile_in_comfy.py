"""Hostile file names inside a ComfyUI: run by its interpreter, reported to test_hostile_in_comfy.

    python hostile_in_comfy.py COMFYUI PACK BASE OUTSIDE COUNT SEED REPORT

BASE is ComfyUI's base folder, with links that lead to OUTSIDE. Every input that names a file gets COUNT values; an audit
hook notes what is opened or changed meanwhile. The calls between the two marks are what a tracer of the process is to
look at. REPORT becomes a JSON object: the values that were accepted, what left the folders, and answers in no sentence.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from inside import enter

COMFY, PACK = sys.argv[1:3]
BASE, OUTSIDE, COUNT, SEED, REPORT = enter(base=True)

import folder_paths  # noqa: E402

import nodes as stock  # noqa: E402, F401

folder_paths.set_temp_directory(str(Path(BASE) / "temp"))
from raxel.nodes.comfy_io.input_files import footage_path  # noqa: E402
from raxel.nodes.comfy_io.output_files import save_output_file  # noqa: E402
from raxel.nodes.exchange.camera_files import RaxelLoadCamera, RaxelSaveCamera  # noqa: E402
from raxel.nodes.joint.footage import RaxelPoseFootage  # noqa: E402
from raxel.nodes.joint.model import LoadRaxelModel  # noqa: E402
from raxel.nodes.ray_diffusion.poses import LoadRayDiffusion  # noqa: E402
from raxel.nodes.raype.apply import LoadRayPE, LoadRayPEExpert  # noqa: E402
from raxel.raxel_core.camera_io import FORMATS  # noqa: E402
from raxel.raxel_core.footage.reel import open_reel  # noqa: E402
from raxel.raxel_core.paths.plan import make_move  # noqa: E402

MARKS = ("/raxel-marks-the-begin", "/raxel-marks-the-end")
PATHS = {
    "open": (0,), "os.listdir": (0,), "os.scandir": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.remove": (0,),
    "os.rename": (0, 1), "os.link": (0, 1), "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,),
}  # fmt: skip
LINKS = (
    "link.json",
    "linked",
    "linked/path.json",
    "col",
    "colmap",
    "scope.npy",
    "loop",
    "loop/x",
    "pipe",
    "deep/linked/x",
    "pictures",
    "pictures/f_%04d.png",
    "own/f_####.png",
    "linked/f_*.png",
    "film.mp4",
)
STEMS = ("path.json", "x", "", ".", "..", "a/../..", "cameras/camera", "%year%/x", "%year%", "%year%-%month%/x", "to/x")
ROOTS = (
    "", "../", "../../", "/", "//host/share/", "\\\\host\\share\\", "\\\\?\\C:\\", "C:\\", "C:/", "~/", "file:///",
    "http://h/", "./../", "....//", "..\\", "%2e%2e/", "sub/../../", f"{OUTSIDE}/", f"{BASE}/../", f"{BASE}/output/../../",
    "/proc/self/", "/dev/", "$HOME/",
)  # fmt: skip
ENDS = (
    "",
    "",
    "",
    " [output]",
    " [input]",
    " [temp]",
    "[output]",
    "\0",
    "\n",
    "\x1b[2J",
    "\u202e",
    "/",
    "//",
    " ",
    "a" * 300,
)


def hostile(random: Random) -> str:
    """One value: a place, links and names, an ending; now and then with quotes or a stretch doubled."""
    middle = "/".join(random.choice(LINKS + STEMS) for _ in range(random.choice((1, 1, 1, 2))))
    value = random.choice(ROOTS) + middle + random.choice(ENDS)
    if random.random() < 0.1:
        value = f'"{value}"'
    if random.random() < 0.1:
        at = random.randrange(len(value) + 1)
        value = (
            value[:at] + random.choice(("/../", "\0", "%", "..", "\u2025/", "\ud800", "\x7f", "[output]")) + value[at:]
        )
    return value


def main() -> None:
    """Try all inputs and write the report."""
    random, seen, watching = Random(SEED), [], [False]
    sys.addaudithook(lambda event, given: _note(event, given, seen) if watching[0] else None)
    path, formats = make_move("orbit", 5, hw=(48, 64), amount=1.0), ["auto", *(known.name for known in FORMATS)]
    calls: dict[str, Any] = {
        "Load Camera": RaxelLoadCamera.execute,
        "Load Camera of a format": lambda value: RaxelLoadCamera.execute(value, format=random.choice(formats)),
        "Load Camera's fingerprint": RaxelLoadCamera.fingerprint_inputs,
        "Save Camera": lambda value: RaxelSaveCamera.execute(path, value, random.choice(formats[1:])),
        "a mesh": lambda value: save_output_file(value, ".glb", b"glTF"),
        "Load Raxel Model": lambda value: LoadRaxelModel.execute(value),
        "its VAE": lambda value: LoadRaxelModel.execute("raxel-tiny (embedded)", vae_name=value),
        "footage": lambda value: open_reel(footage_path(value)),
        "footage's fingerprint": RaxelPoseFootage.fingerprint_inputs,
        "RayPE weights": LoadRayPE.execute,
        "an expert with RayPE": LoadRayPEExpert.execute,
        "Ray Diffusion's weights": LoadRayDiffusion.execute,
    }
    RaxelLoadCamera.execute("good.json")  # what is imported late
    open_reel(footage_path("own/f_####.png"))
    report: dict[str, Any] = {"values": 0, "accepted": [], "no sentence": [], "left the folders": []}
    os.access(MARKS[0], os.R_OK)
    for name, call in calls.items():
        plain = [*LINKS, *STEMS]
        for number in range(int(COUNT)):
            value = plain[number] if number < len(plain) else hostile(random)
            seen.clear()
            watching[0] = True
            told = _answer(call, value)
            watching[0] = False
            report["values"] += 1
            left = [place for place in seen if _is_foreign(*place)]
            if left:
                report["left the folders"].append([name, ascii(value), left[:3]])
            if told is None:
                report["accepted"].append([name, ascii(value)])
            elif not told.isprintable() or not 10 < len(told) < 1000:
                report["no sentence"].append([name, ascii(value), ascii(told)[:300]])
    os.access(MARKS[1], os.R_OK)
    Path(REPORT).write_text(json.dumps(report))


def _answer(call: Any, value: str) -> str | None:
    """What the user is told; None when the value was taken."""
    try:
        call(value)
    except (ValueError, FileNotFoundError, OSError) as error:
        return str(error)
    return None


def _note(event: str, given: tuple[Any, ...], seen: list[tuple[str, str, bool]]) -> None:
    for place in PATHS.get(event, ()):
        name = given[place]
        if isinstance(name, (str, bytes, os.PathLike)):
            writes = event not in ("open", "os.listdir", "os.scandir") or (
                event == "open" and (set(str(given[1] or "r")) & set("wax+") or bool((given[2] or 0) & os.O_ACCMODE))
            )
            seen.append((event, os.fsdecode(name), bool(writes)))


def _is_foreign(event: str, name: str, writes: bool) -> bool:
    """Whether a call went where it should not: read outside of the base, libraries and the system's own, or written."""
    real = os.path.realpath(name)
    inside = (os.path.realpath(BASE),)
    libraries = (
        sys.prefix,
        sys.base_prefix,
        os.path.realpath(PACK),
        os.path.realpath(COMFY),
        "/usr",
        "/lib",
        "/sys/fs",
    )
    own = ("/proc/meminfo", "/proc/stat", "/proc/self/status", "/etc/localtime", f"/proc/{os.getpid()}")
    if real.startswith(os.path.realpath(OUTSIDE)):
        return True
    allowed = inside if writes else (*inside, *map(os.path.realpath, libraries), *own)
    return not any(real == place or real.startswith(place + os.sep) or real in own for place in allowed)


started = time.monotonic()
main()
print(f"{time.monotonic() - started:.1f} s")
