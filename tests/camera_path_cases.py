"""The cases that hold Python and JavaScript to the same camera paths: writes tests/golden/camera_paths.json.

`python -m tests.camera_path_cases` writes the file anew, which is right only after a wanted change of the paths.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from raxel_core.geometry.trajectory import UNITS
from raxel_core.latents.frames import nearest_frame_count
from raxel_core.paths.camera_path import path_from_json
from raxel_core.paths.easing import EASINGS
from raxel_core.paths.moves import MOVES
from raxel_core.paths.plan import CameraPlan

GOLDEN = Path(__file__).with_name("golden") / "camera_paths.json"
DIGITS = 12


def document(plan: Any, **changes: Any) -> dict[str, Any]:
    """A planned path of nine frames, with some of its values replaced."""
    values = {"format": "raxel.camera_path", "version": 1, "fps": 8, "unit": "near_depth", "name": ""}
    return {**values, "width": 832, "height": 480, "frame_count": 9, "plan": plan, **changes}


def move(name: str, **fields: Any) -> dict[str, Any]:
    return {"move": name, **fields}


def key(time: float, position: list[float], **fields: Any) -> dict[str, Any]:
    return {"time": time, "position": position, **fields}


# Four keys at uneven times, with every way of saying a rotation and a lens that one key leaves out.
KEYS = [
    key(0, [0, 0, 0], rotation_degrees=[0, 0, 0], fov_degrees=60),
    key(0.2, [0.5, -0.2, 0.1], rotation_degrees=[-25, 10, 5]),
    key(0.7, [1.5, 0.3, 0.4], look_at=[0, 0, 3], roll_degrees=-15, fov_degrees=35),
    key(1, [1, 0.1, 1.2], rotation_degrees=[-70, -20, 0], fov_degrees=80),
]


def with_easings(*easings: Any) -> list[dict[str, Any]]:
    """`KEYS` with these easings."""
    return [{**entry, "easing": easing} for entry, easing in zip(KEYS, easings, strict=True)]


CHANNELS = {"position": "smooth", "rotation": "ease_in", "lens": "hold"}
PLANS: dict[str, Any] = {
    "nothing": {},
    "defaults of every move": {"depth": 2.5, "moves": [move(name) for name in MOVES]},
    "static in a tele lens": {"fov_degrees": 12.5, "moves": [move("static")]},
    "pan": {"moves": [move("pan", amount_degrees=-75, easing="smooth")]},
    "tilt": {"moves": [move("tilt", amount_degrees=35, easing="ease_in")]},
    "roll in a window": {"moves": [move("roll", amount_degrees=120, start=0.25, end=0.8, easing="ease_out")]},
    "dolly after a hold": {"moves": [move("dolly", amount=-1.25, end=0.5, easing="hold")]},
    "truck": {"moves": [move("truck", amount=0.75, easing="linear")]},
    "pedestal": {"moves": [move("pedestal", amount=0.6)]},
    "orbit": {"depth": 3, "moves": [move("orbit", amount_degrees=200, easing="smooth")]},
    "arc": {"depth": 1.5, "moves": [move("arc", amount_degrees=-110)]},
    "crane": {"depth": 2, "moves": [move("crane", amount=1.7, easing="smooth")]},
    "boom": {"depth": 2, "moves": [move("boom", amount_degrees=80)]},
    "push_in": {"depth": 2, "moves": [move("push_in", amount=1.9)]},
    "pull_back_rise": {"depth": 2, "moves": [move("pull_back_rise", amount=3)]},
    "spiral": {"depth": 2, "moves": [move("spiral", amount_degrees=-400)]},
    "figure_8": {"depth": 2, "moves": [move("figure_8", amount=0.9)]},
    "flyover": {"depth": 2, "moves": [move("flyover", amount=1.3)]},
    "flyover further than the subject, backwards": {"moves": [move("flyover", amount=-4)]},
    "dolly_zoom": {"depth": 4, "fov_degrees": 30, "moves": [move("dolly_zoom", amount=3.1, easing="smooth")]},
    "zoom": {"moves": [move("zoom", factor=0.4, easing="ease_out"), move("zoom", factor=3)]},
    "handheld": {"depth": 2, "moves": [move("handheld", amount_degrees=2, seed=4294967295)]},
    "layers": {
        "depth": 2,
        "moves": [
            move("orbit", amount_degrees=40, end=0.6, easing="smooth"),
            move("zoom", factor=2, start=0.4),
            move("handheld", seed=7),
            move("roll", amount_degrees=10),
        ],
    },
    "one key": {"keys": [key(0.3, [1, 2, 3], rotation_degrees=[40, -30, 20], fov_degrees=90)]},
    "keys": {"keys": KEYS},
    "keys, smooth": {"keys": with_easings("smooth", "smooth", "smooth", "smooth")},
    "keys, mixed": {"keys": with_easings("linear", "ease_out", "ease_in", "linear")},
    "keys, channels": {"keys": with_easings(CHANNELS, {"rotation": "hold"}, {"lens": "ease_out"}, {})},
    "keys inside the clip": {
        "keys": [
            key(0.2, [0, 0, 0], look_at=[0, 0, 1]),
            key(0.5, [0, -3, 0], look_at=[0, 0, 0], roll_degrees=30),
            key(0.9, [1, 0, 2], look_at=[0, 0, 1], fov_degrees=50),
        ]
    },
    "half a turn between keys": {"keys": [key(0, [0, 0, 0]), key(1, [0, 0, 0], rotation_degrees=[180, 0, 0])]},
    "moves on keys": {"depth": 2, "keys": KEYS, "moves": [move("crane", amount=0.5), move("truck", amount=-0.3)]},
    "lock": {"look_at": [0.5, 0.2, 3], "moves": [move("truck", amount=2), move("pedestal", amount=-1)]},
    "lock on keys with a shake": {"look_at": [0, 0, 4], "keys": KEYS, "moves": [move("handheld", amount_degrees=1)]},
    "loop of moves": {
        "loop": True,
        "depth": 2,
        "moves": [move("arc", amount_degrees=60, easing="smooth"), move("zoom", factor=1.5, start=0.5)],
    },
    "loop of moves that close": {
        "loop": True,
        "moves": [move("orbit", amount_degrees=-360), move("figure_8", amount=0.3), move("roll", amount_degrees=720)],
    },
    "loop of keys": {"loop": True, "keys": KEYS[:3]},
    "loop of keys that begins late": {"loop": True, "keys": [{**KEYS[0], "time": 0.1}, *KEYS[1:]]},
    "loop of keys with the first once more": {"loop": True, "keys": [*KEYS[:3], {**KEYS[0], "time": 1}]},
    "loop of a shake": {"loop": True, "moves": [move("handheld", amount_degrees=3, seed=3)]},
}
# A curve through three keys by its handles: one side only, both, and none.
BEZIER = [
    key(0, [0, 0, 0], handle_out=[0, 0, 0.6]),
    key(0.4, [1, -0.5, 0.5], rotation_degrees=[-40, 5, 0], handle_in=[-0.4, 0.1, 0], handle_out=[0.9, -0.2, 0.1]),
    key(0.8, [1.5, 0.2, 1], look_at=[0, 0, 3], fov_degrees=50),
]
RAMP = [[0, 0.2], [0.3, 2], [0.6, 0], [1, 1.5]]
PLANS |= {
    "keys with handles": {"keys": BEZIER},
    "keys with handles, eased": {"keys": [{**entry, "easing": "smooth"} for entry in BEZIER]},
    "loop of keys with handles": {"loop": True, "keys": [{**BEZIER[0], "handle_in": [0.1, 0.2, -0.5]}, *BEZIER[1:]]},
    "loop of handles with the first once more": {
        "loop": True,
        "keys": [*BEZIER, {"time": 1, "position": [0, 0, 0], "handle_in": [0.3, 0, -0.2]}],
    },
    "speed of moves": {"speed": RAMP, "moves": [move("orbit", amount_degrees=80, easing="smooth"), move("zoom")]},
    "speed of keys with a shake": {"speed": [[0.25, 1], [0.75, 0.1]], "keys": KEYS, "moves": [move("handheld")]},
    "speed of a loop": {"speed": [[0.5, 3], [0.6, 1]], "loop": True, "keys": KEYS[:3]},
    "one speed is even": {"speed": [[0.3, 7]], "moves": [move("dolly")]},
    "speed up to a hold": {"speed": [[0, 0], [1, 1]], "moves": [move("pan", easing="hold"), move("truck")]},
}
CASES: dict[str, dict[str, Any]] = {name: document(plan) for name, plan in PLANS.items()}
CASES["one frame"] = document(
    {"keys": KEYS[:3], "moves": [move("orbit"), move("handheld")], "loop": True}, frame_count=1
)
CASES["two frames, metres"] = document({"keys": KEYS}, frame_count=2, unit="metre", name="<b>two</b>", fps=24)
CASES["a long loop of a shake"] = document(PLANS["loop of a shake"], frame_count=17, fps=1.5, width=64, height=96)


def shot(start: float, plan: Any) -> dict[str, Any]:
    return {"start": start, "plan": plan}


def cut(*shots: Any, **changes: Any) -> dict[str, Any]:
    """A path of several shots."""
    values = {name: value for name, value in document(None).items() if name != "plan"}
    return {**values, "shots": list(shots), **changes}


def plans_of(path: dict[str, Any]) -> list[dict[str, Any]]:
    """The plan of a path, or those of its shots."""
    return [entry["plan"] for entry in path["shots"]] if "shots" in path else [path["plan"]]


CASES["two shots"] = cut(shot(0, PLANS["orbit"]), shot(0.6, {"fov_degrees": 30, "keys": KEYS}))
CASES["three shots, the last a loop"] = cut(
    shot(0, {"moves": [move("handheld", seed=5)]}), shot(0.25, {}), shot(0.5, PLANS["loop of keys"]), frame_count=16
)
CASES["one shot"] = cut(shot(0, PLANS["pan"]))


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def text(plan: Any, **changes: Any) -> str:
    return json.dumps(document(plan, **changes))


def of_move(name: str, **fields: Any) -> str:
    return text({"moves": [move("pan"), move(name, **fields)]})


def of_key(**fields: Any) -> str:
    return text({"keys": [key(0, [0, 0, 0]), {**key(0.5, [0, 0, 0]), **fields}]})


STANDS_ON_IT = {"look_at": [0, 0, 1], "moves": [move("dolly", amount=2)]}
HOLLOW = {"moves": [move("zoom", factor=0.01), move("zoom", factor=0.01)]}
# Name -> (text, what the refusal has to name).
REFUSED: dict[str, tuple[str, list[str]]] = {
    "no JSON": ("{", ["the camera path is not JSON"]),
    "no object": ("[]", ["object"]),
    "a deep list": (text(0).replace("0}", "[" * 100 + "]" * 100 + "}"), ["plan", "object"]),
    "a deep list of moves": (text({"moves": nested(100)}), ["plan.moves[0]", "object"]),
    "neither form": (
        json.dumps({k: v for k, v in document({}).items() if k not in ("plan", "frame_count")}),
        ["frames"],
    ),
    "both forms": (text({}, frames=[]), ["unknown frames"]),
    "a plan without frame_count": (
        json.dumps({k: v for k, v in document({}).items() if k != "frame_count"}),
        ["frame_count"],
    ),
    "no frame": (text({}, frame_count=0), ["frame_count"]),
    "too many frames": (text({}, frame_count=100_001), ["frame_count"]),
    "half a frame": (text({}, frame_count=8.5), ["frame_count"]),
    "a true frame": (text({}, frame_count=True), ["frame_count"]),
    "an unknown field": (text({}, colour="red"), ["unknown colour"]),
    "another version": (text({}, version=2), ["version"]),
    "a true version": (text({}, version=True), ["version"]),
    "a unit that is none": (text({}, unit="inch"), ["unit"]),
    "no time": (text({}, fps=0), ["fps"]),
    "a name that is none": (text({}, name={"a": 1}), ["name"]),
    "a width beyond all pictures": (text({}, width=10**310), ["width"]),
    "a plan that is text": (text("orbit"), ["plan", "object"]),
    "a plan that is null": (text(None), ["plan", "object"]),
    "an unknown field of the plan": (text({"pace": 1}), ["plan has unknown pace"]),
    "an unknown field of two lines": (text({"a\nb": 1}), ["plan has unknown", "a\\nb"]),
    "a prototype in the plan": (text({"__proto__": {"loop": True}}), ["plan has unknown __proto__"]),
    "a constructor in the plan": (text({"constructor": {}}), ["plan has unknown constructor"]),
    "a prototype in a move": (of_move("pan", __proto__={"end": 0.5}), ["plan.moves[1]", "unknown __proto__"]),
    "a move named like a prototype": (of_move("__proto__"), ["plan.moves[1]", "move is one of"]),
    "a move named like a method": (of_move("toString"), ["plan.moves[1]", "move is one of"]),
    "an easing named like a method": (of_move("pan", easing="valueOf"), ["plan.moves[1]", "easing is one of"]),
    "NaN": (text({"depth": float("nan")}), ["the camera path"]),
    "infinity": (text({"depth": 1}).replace('"depth": 1', '"depth": 1e999'), ["depth"]),
    "NaN as text": (text({"depth": "NaN"}), ["depth"]),
    "a number as text": (of_move("pan", amount_degrees="30"), ["plan.moves[1]", "amount_degrees"]),
    "a true number": (of_move("pan", amount_degrees=True), ["plan.moves[1]", "amount_degrees"]),
    "a number as a list": (of_move("pan", amount_degrees=[30]), ["plan.moves[1]", "amount_degrees"]),
    "a huge number": (of_move("dolly", amount=1e30), ["plan.moves[1]", "amount"]),
    "a whole number of 5000 digits": (text({"depth": 7}).replace("7}", "7" * 5000 + "}"), ["depth"]),
    "no depth": (text({"depth": 0}), ["depth"]),
    "a flat angle of view": (text({"fov_degrees": 180}), ["fov_degrees"]),
    "a loop that is 1": (text({"loop": 1}), ["loop"]),
    "a point of two numbers": (text({"look_at": [0, 0]}), ["look_at"]),
    "a point of text": (text({"look_at": [0, 0, "1"]}), ["look_at[2]"]),
    "moves that are no list": (text({"moves": {}}), ["plan.moves", "list"]),
    "too many moves": (text({"moves": [move("pan")] * 65}), ["plan.moves", "64"]),
    "too many keys": (text({"keys": [key(0, [0, 0, 0])] * 1025}), ["plan.keys", "1024"]),
    "a move without its name": (text({"moves": [{"amount": 1}]}), ["plan.moves[0]", "lacks move"]),
    "no such move": (of_move("teleport"), ["plan.moves[1]", "move is one of", "teleport"]),
    "a length of a turn": (of_move("pan", amount=1), ["plan.moves[1]", "amount is no field of pan", "amount_degrees"]),
    "an amount of nothing": (of_move("static", amount=1), ["plan.moves[1]", "amount is no field of static"]),
    "a seed of a pan": (of_move("pan", seed=1), ["plan.moves[1]", "seed"]),
    "a start of a shake": (of_move("handheld", start=0), ["plan.moves[1]", "start"]),
    "a negative seed": (of_move("handheld", seed=-1), ["plan.moves[1]", "seed"]),
    "a seed too large": (of_move("handheld", seed=2**32), ["plan.moves[1]", "seed"]),
    "half a seed": (of_move("handheld", seed=0.5), ["plan.moves[1]", "seed"]),
    "a negative shake": (of_move("handheld", amount_degrees=-1), ["plan.moves[1]", "amount_degrees"]),
    "a shake without a clock": (text({"moves": [move("handheld")]}, fps=1e-9), ["handheld", "fps"]),
    "an end before the start": (of_move("pan", start=0.5, end=0.5), ["plan.moves[1]", "start comes before end"]),
    "a start before the clip": (of_move("pan", start=-0.1), ["plan.moves[1]", "start"]),
    "an end that is null": (of_move("pan", end=None), ["plan.moves[1]", "end"]),
    "no such easing": (of_move("pan", easing="bouncy"), ["plan.moves[1]", "easing is one of"]),
    "an arc over the pole": (of_move("arc", amount_degrees=172), ["plan.moves[1]", "amount_degrees", "171"]),
    "a lens of factor 0": (of_move("zoom", factor=0), ["plan.moves[1]", "factor"]),
    "a push through the subject": (of_move("push_in", amount=1), ["moves[1]", "amount", "depth"]),
    "a dolly zoom to the subject": (of_move("dolly_zoom", amount=-1), ["moves[1]", "amount", "depth"]),
    "an angle of view that is none": (text(HOLLOW), ["fov_degrees"]),
    "a point that a camera stands on": (text(STANDS_ON_IT), ["look_at", "frame 4"]),
    "a key without a position": (text({"keys": [{"time": 0}]}), ["plan.keys[0]", "lacks position"]),
    "a key after the clip": (of_key(time=1.5), ["plan.keys[1]", "time"]),
    "a key before the one before": (of_key(time=0), ["keys[1].time"]),
    "a key a moment after the one before": (of_key(time=1e-320), ["keys[1].time", "at least"]),
    "a position of two numbers": (of_key(position=[0, 0]), ["plan.keys[1]", "position"]),
    "a position of null": (of_key(position=[0, None, 0]), ["plan.keys[1]", "position[1]"]),
    "two rotations": (
        of_key(rotation_degrees=[0, 0, 0], look_at=[0, 0, 1]),
        ["plan.keys[1]", "rotation_degrees", "look_at"],
    ),
    "a roll without a point": (of_key(roll_degrees=5), ["plan.keys[1]", "roll_degrees"]),
    "a key that looks at itself": (of_key(look_at=[0, 0, 0]), ["plan.keys[1]", "look_at"]),
    "a key's lens": (of_key(fov_degrees=0), ["plan.keys[1]", "fov_degrees"]),
    "an easing of no channel": (of_key(easing={"colour": "linear"}), ["plan.keys[1]", "easing has unknown colour"]),
    "a channel of no easing": (of_key(easing={"lens": "bouncy"}), ["plan.keys[1]", "easing.lens"]),
    "an easing that is null": (of_key(easing=None), ["plan.keys[1]", "easing"]),
    "a handle of two numbers": (of_key(handle_in=[0, 0]), ["plan.keys[1]", "handle_in"]),
    "a handle of text": (of_key(handle_out="left"), ["plan.keys[1]", "handle_out"]),
    "a speed that is a number": (text({"speed": 2}), ["plan", "speed is a list"]),
    "a speed of one number": (text({"speed": [[0, 1], [0.5]]}), ["speed[1]", "2 numbers"]),
    "a speed that is negative": (text({"speed": [[0, -1]]}), ["speed[0]: speed"]),
    "a speed after the clip": (text({"speed": [[1.5, 1]]}), ["speed[0]: time"]),
    "a speed before the one before": (text({"speed": [[0.5, 1], [0.2, 1]]}), ["speed[1]", "later"]),
    "a speed of nothing": (text({"speed": [[0, 0], [0.5, 0]]}), ["speed", "stands still"]),
    "shots that are no list": (json.dumps(cut(shots={})), ["shots is a list"]),
    "no shot": (json.dumps(cut()), ["shots", "at least one"]),
    "too many shots": (json.dumps(cut(*[shot(0, {})] * 65)), ["shots", "64"]),
    "a shot without a plan": (json.dumps(cut({"start": 0})), ["shots[0]", "lacks plan"]),
    "a shot of null": (json.dumps(cut(None)), ["shots[0]", "object"]),
    "a first shot that begins late": (json.dumps(cut(shot(0.1, {}))), ["shots[0]", "start is 0"]),
    "shots out of order": (json.dumps(cut(shot(0, {}), shot(0.5, {}), shot(0.5, {}))), ["shots[2]", "start"]),
    "a shot without a frame": (json.dumps(cut(shot(0, {}), shot(0.01, {}))), ["shots[0]", "frames"]),
    "a fault in a shot": (json.dumps(cut(shot(0, {}), shot(0.5, {"depth": 0}))), ["shots[1]", "plan", "depth"]),
    "a shot that cannot be built": (json.dumps(cut(shot(0, {}), shot(0.5, HOLLOW))), ["shots[1]", "fov_degrees"]),
    "a plan beside shots": (json.dumps({**cut(shot(0, {})), "plan": {}}), ["unknown plan"]),
    "a loop that closes in no time": (
        text({"loop": True, "keys": [KEYS[0], {**KEYS[1], "time": 1 - 1e-9}]}),
        ["keys[1].time", "loop"],
    ),
    "a loop with two beginnings": (text({"loop": True, "keys": KEYS}), ["keys[3].time", "loop"]),
}


def golden() -> dict[str, Any]:
    """What the file holds."""
    return {
        "written by": "python -m tests.camera_path_cases",
        "easings": list(EASINGS),
        "units": list(UNITS),
        "moves": {
            name: {"meaning": move.meaning, "amount_key": move.amount_key, "default": move.default}
            for name, move in MOVES.items()
        },
        "frame_counts": [[frames, nearest_frame_count(frames)] for frames in (*range(1, 12), 79, 81, 83, 120)],
        "cases": {
            name: {"path": path, "values": values_of(path), "frames": baked(path)} for name, path in CASES.items()
        },
        "refused": {name: {"text": given, "names": names} for name, (given, names) in REFUSED.items()},
    }


def plan_values(plan: CameraPlan) -> dict[str, Any]:
    """The plan as a JSON object with every field in it, those that say nothing left out: what the editor keeps."""
    values = json.loads(json.dumps(asdict(plan)))
    for made in values["moves"]:
        for field in ("start", "end", "easing") if made["move"] == "handheld" else ("seed",):
            made.pop(field, None)
    for made in values["keys"]:
        if made["look_at"] is None:
            del made["roll_degrees"]
    for kind in ("moves", "keys"):
        values[kind] = [{k: v for k, v in made.items() if v is not None} for made in values[kind]]
    return values


def values_of(path: dict[str, Any]) -> list[dict[str, Any]]:
    """The plans of a path with all their fields."""
    return [plan_values(CameraPlan.from_values(plan)) for plan in plans_of(path)]


def baked(path: dict[str, Any]) -> list[dict[str, list[float]]]:
    """The frames of a planned path, made in float64 and rounded."""
    camera = path_from_json(json.dumps(path), dtype=torch.float64).camera
    K = torch.cat((camera.focal, camera.principal_point), dim=-1)
    frames = zip(camera.world_from_cam.flatten(1).tolist(), K.tolist(), strict=True)
    return [{"world_from_cam": _rounded(motion), "K": _rounded(lens)} for motion, lens in frames]


def _rounded(numbers: list[float]) -> list[float]:
    # Adding 0 makes a negative zero a positive one.
    return [float(f"{number:.{DIGITS}f}") + 0.0 for number in numbers]


def written(value: dict[str, Any]) -> str:
    """The file's text: a frame or a refusal a line."""
    parts = []
    for name, part in value.items():
        entries = part.items() if isinstance(part, dict) and name != "written by" else None
        body = _compact(part) if entries is None else _lines(entries)
        parts.append(f"{_compact(name)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(entries: Any) -> str:
    """An object, an entry a line, and of a case's frames each on its own."""
    rows = (f"{_compact(name)}: {_compact(entry)}" for name, entry in entries)
    return "{\n" + ",\n".join(row.replace('{"world_from_cam"', '\n{"world_from_cam"') for row in rows) + "\n}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    GOLDEN.write_text(written(golden()), encoding="utf-8")
