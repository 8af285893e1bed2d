"""The house rules that a machine can check: who imports whom, names, sizes, annotations, lint and types."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "raxel_core"
SHIPPED = sorted([*CORE.rglob("*.py"), *(ROOT / "nodes").rglob("*.py"), ROOT / "__init__.py"])

# What each part of the core may import from the core, besides itself; None: everything.
LADDER: dict[str, set[str] | None] = {
    "strict_json": set(),
    "atomic_file": {"strict_json"},
    "geometry": set(),
    "latents": set(),
    "model": set(),
    "sampling": set(),
    "framing": {"geometry"},
    "raxels": {"geometry"},
    "video_io": {"framing", "atomic_file", "runtime"},
    "paths": {"geometry", "strict_json"},
    "weights": {"model", "atomic_file", "strict_json"},
    "runtime": {"model"},
    "camera_io": {"geometry", "paths", "atomic_file", "strict_json"},
    "camera_sockets": {"geometry", "paths", "camera_io", "framing", "latents", "runtime"},
    "drawing": {"geometry", "paths", "camera_io", "framing", "runtime"},
    "warp": {"atomic_file", "geometry", "framing", "runtime"},
    "solving": {"geometry", "runtime"},
    "films": {"atomic_file", "strict_json", "geometry", "camera_io", "framing", "video_io", "warp", "runtime"},
    "recipe": {"latents", "strict_json"},
    "raxel_model": {"geometry", "raxels", "latents", "model", "weights", "recipe", "runtime"},
    "denoising": {"geometry", "raxels", "latents", "model", "sampling", "framing", "raxel_model"},
    "pipeline": {"geometry", "raxels", "latents", "sampling", "framing", "raxel_model", "denoising"},
    "training": {
        "atomic_file", "strict_json", "geometry", "paths", "camera_io", "raxels", "latents", "model", "weights",
        "sampling", "recipe", "framing", "video_io", "runtime", "films",
    },
    "ray_diffusion": {"strict_json", "geometry", "weights", "training", "video_io"},
    "raype": {"atomic_file", "strict_json", "geometry", "latents", "model", "weights", "sampling", "recipe", "training"},
    "footage": {
        "atomic_file", "strict_json", "geometry", "paths", "camera_io", "framing", "video_io", "latents", "sampling",
        "pipeline", "recipe", "solving",
    },
    "evaluation": {
        "geometry", "paths", "camera_io", "raxels", "sampling", "raxel_model", "denoising", "pipeline", "training",
        "ray_diffusion", "runtime", "films",
    },
    "benchmarks": {"geometry", "raxels", "camera_sockets", "latents", "model", "weights", "runtime", "training"},
    "cli": None,
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip
MOST_ROOT_FILES = 9
# Inside a room, each file may import those before it.
FILE_LADDERS = {
    "model": [
        "config", "given_frames", "rope", "attention", "sequence_parallel", "layers", "reading", "blocks",
        "transformer",
    ],
    "weights": [
        "tensor_map", "tensor_file", "pickles", "integer_weights", "quantization", "checkpoint", "state_dict", "streaming", "lora",
        "wan_layouts", "conversion",
    ],
}  # fmt: skip
# What each room of the nodes may import from the nodes, besides itself; only `nodes/__init__.py` imports all.
NODE_LADDER = {
    "sockets": set(),
    "inputs": {"sockets"},
    "catalogue": set(),
    "comfy_io": set(),
    "comfy_model": {"comfy_io"},
    "comfy_sampling": {"comfy_model"},
    "paths": {"sockets", "inputs", "catalogue", "comfy_io", "comfy_model"},
    "exchange": {"sockets", "inputs", "catalogue", "comfy_io"},
    "joint": {"sockets", "inputs", "catalogue", "comfy_io", "comfy_model", "comfy_sampling"},
    "raype": {"sockets", "inputs", "catalogue", "comfy_io", "comfy_model"},
    "solving": {"sockets", "inputs", "catalogue", "comfy_io"},
    "ray_diffusion": {"sockets", "inputs", "catalogue", "comfy_io"},
}
PACKAGES = {
    "geometry": {"torch", "einops"},
    "paths": {"torch"},
    "latents": {"torch", "einops", "safetensors", "diffusers"},
    "model": {"torch", "einops"},
    "weights": {"torch", "safetensors"},
    "sampling": {"torch", "einops"},
    "raxels": {"torch", "einops"},
    "camera_io": {"torch", "numpy"},
    "camera_sockets": {"torch", "numpy"},
}
# What `benchmark` compares with where it is installed.
COMPARED = {"pytorch3d", "roma", "scipy", "evo"}
# What an extra of pyproject.toml or the user brings; without it there is one sentence.
OPTIONAL = {"pycolmap", "cv2", "bitsandbytes", "transformers", "sentencepiece"}
BANNED_FILES = {"utils", "helpers", "common", "misc"}
BANNED_NAMES = re.compile(r"^(extrinsics?|pose|T|RT|viewmat)$")
LINES_IN_A_FUNCTION = 60
NODE_EXECUTE_LINES = 25


def _part(path: Path) -> str:
    relative = path.relative_to(CORE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imports(path: Path) -> list[tuple[int, str]]:
    """(level, dotted name) of every import of a file; level 0 is absolute."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(node.level, name) for name in names]
    return found


def _core_target(path: Path, level: int, name: str) -> str | None:
    """The part of the core that a relative import reaches."""
    package = path.relative_to(CORE).parts[:-1]
    base = package[: len(package) - (level - 1)]
    return (*base, *name.split("."))[0]


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_imports_follow_the_ladder(path):
    part = _part(path)
    assert part in LADDER, f"{part} has no place in the ladder"
    allowed = LADDER[part]
    for level, name in _imports(path):
        if level:
            target = _core_target(path, level, name)
            assert target == part or allowed is None or target in allowed, f"{part} may not import {target}"
        else:
            top = name.split(".")[0]
            assert top not in {"raxel_core", "comfy", "folder_paths", "nodes", "comfy_api"}, (
                f"{path.name} imports {name}"
            )
            if part in PACKAGES and top not in sys.stdlib_module_names:
                assert top in PACKAGES[part], f"{part} may not import {top}"


def _packages(requirements: list[str]) -> set[str]:
    named = [line for line in requirements if line and line[0] != "#" and "extra ==" not in line]
    return {re.split(r"[\s<>=~!;\[(]", line)[0] for line in named}


def test_what_the_core_imports_is_installed_with_the_pack():
    """A package outside requirements.txt has to come with one that is named there (psutil does, with accelerate)."""
    listed = _packages((ROOT / "requirements.txt").read_text().splitlines())
    here = listed - {"transformers"}  # named for pip's sake alone
    brought = {package for name in here for package in _packages(metadata.requires(name) or [])}
    installed = listed | brought
    for path in CORE.rglob("*.py"):
        tops = {name.split(".")[0] for level, name in _imports(path) if not level}
        foreign = tops - sys.stdlib_module_names - installed - COMPARED - OPTIONAL
        assert not foreign, f"{path.name} imports {foreign}, which requirements.txt does not bring"


def test_the_root_of_the_core_holds_the_flow_alone():
    files = [path for path in CORE.glob("*.py") if not path.stem.startswith("__")]
    assert len(files) <= MOST_ROOT_FILES, sorted(path.stem for path in files)


@pytest.mark.parametrize("room", FILE_LADDERS)
def test_files_of_a_room_import_only_down_its_ladder(room):
    ladder = FILE_LADDERS[room]
    files = [path for path in (CORE / room).glob("*.py") if path.stem != "__init__"]
    assert {path.stem for path in files} == set(ladder)
    for path in files:
        lower = ladder[: ladder.index(path.stem)]
        for target in _targets(path):
            if target.parent == path.parent:
                assert target.stem in lower, f"{room}/{path.name} imports {target.stem}"


def _targets(path: Path) -> set[Path]:
    """The files of the pack that a file imports relatively, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.ImportFrom) and node.level):
            continue
        module = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for alias in node.names:
            places = (module / f"{alias.name}.py", module.with_suffix(".py"), module / alias.name / "__init__.py")
            found.add(next((place for place in places if place.is_file()), module / "__init__.py"))
    return found


def test_no_file_imports_itself_on_a_detour():
    graph = {path: _targets(path) for path in SHIPPED}
    done: set[Path] = set()

    def visit(path: Path, way: tuple[Path, ...]) -> None:
        assert path not in way, " -> ".join(str(step.relative_to(ROOT)) for step in (*way[way.index(path) :], path))
        if path not in done:
            for target in graph.get(path, ()):
                visit(target, (*way, path))
            done.add(path)

    for path in SHIPPED:
        visit(path, ())


def test_rooms_of_the_core_stand_above_each_other():
    """The ladder itself goes round nowhere, so that no two rooms need each other."""
    left = {part: set(allowed) for part, allowed in LADDER.items() if allowed is not None}
    while free := [part for part, needs in left.items() if not needs & left.keys()]:
        for part in free:
            del left[part]
    assert not left


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_node_files_follow_the_ladder(path):
    room = path.relative_to(ROOT / "nodes").parts[0].removesuffix(".py")
    for level, name in _imports(path):
        assert not name.startswith("raxel_core") or level, f"{path.name} imports {name} absolutely"
    for target in _targets(path):
        if not target.is_relative_to(ROOT / "nodes") or room == "__init__":
            continue
        other = target.relative_to(ROOT / "nodes").parts[0].removesuffix(".py")
        assert other == room or other in NODE_LADDER[room], f"nodes/{room} may not import nodes/{other}"
        assert not _holds_nodes(target), f"{path.name} imports {target.name}, which holds nodes"


def _holds_nodes(path: Path) -> bool:
    """Whether a file defines a node: such files stand side by side."""
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    return any(isinstance(base, ast.Attribute) and base.attr == "ComfyNode" for node in classes for base in node.bases)


def test_the_map_names_every_room_and_nothing_that_is_not_there():
    """CONTRIBUTING.md's table: its paths exist, and no room of the core or of the nodes is missing."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:raxel_core|nodes|web|tests)/[\w./]*)`", page))
    assert not [name for name in named if not (ROOT / name).exists()]
    rooms = [*CORE.glob("*/__init__.py"), *(ROOT / "nodes").glob("*/__init__.py")]
    places = [f"{path.parent.relative_to(ROOT).as_posix()}/" for path in rooms]
    assert not [place for place in places if not any(name.startswith(place) for name in named)]


def test_root_module_imports_nothing_of_comfyui_at_import():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in top)


def test_file_names_are_nouns_of_the_field():
    assert not [p for p in SHIPPED if p.stem in BANNED_FILES]
    names = [p.stem for p in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short_and_variables_name_their_frames(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            limit = NODE_EXECUTE_LINES if node.name == "execute" else LINES_IN_A_FUNCTION
            assert lines <= limit or node.name == "define_schema", f"{path.name}: {node.name} has {lines} lines"
            assert not (node.args.kwarg and "raxel_core" in str(path) and not node.name.startswith("_")), (
                f"{path.name}: {node.name} passes **kwargs through"
            )
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assert not BANNED_NAMES.match(node.id), f"{path.name}:{node.lineno} calls a matrix {node.id}"
        if isinstance(node, ast.arg):
            assert not BANNED_NAMES.match(node.arg), f"{path.name}:{node.lineno} calls an argument {node.arg}"


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_public_functions_have_docstrings_and_annotations(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path.name} says nothing of itself"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.returns is not None, f"{path.name}: {node.name} does not say what it returns"


# What ComfyUI calls by its name.
CALLED_BY_COMFYUI = {
    "raxel_extension", "fingerprint_inputs", "get_model", "clip_target", "load_model_weights", "process_latent_in",
    "process_latent_out", "extra_conds", "extra_conds_shapes", "scale_latent_inpaint", "process_in", "process_out",
    "map_context_window_to_modalities", "resize_cond_for_context_window", "fix_empty_latent",
}  # fmt: skip


def test_every_public_name_has_a_caller_in_the_pack():
    """No feature without a door: what nothing shipped names, besides its own definition, only tests could call."""
    texts = [re.sub(r'"""[\s\S]*?"""', "", path.read_text()) for path in SHIPPED]
    names = Counter(word for text in texts for word in re.findall(r"\w+", text))
    lonely = set()
    for path in SHIPPED:
        for node in ast.parse(path.read_text()).body:
            inside = node.body if isinstance(node, ast.ClassDef) else []
            for each in (node, *inside):
                if isinstance(each, (ast.FunctionDef, ast.ClassDef)) and not each.name.startswith("_"):
                    lonely |= {each.name} if names[each.name] < 2 else set()
    assert lonely - CALLED_BY_COMFYUI == set()


def _run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True)


def test_lint_is_clean():
    done = _run("ruff", "check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_is_formatted():
    done = _run("ruff", "format", "--check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_types_of_the_core_are_clean():
    done = _run("mypy")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_types_of_the_nodes_are_clean(tmp_path):
    """Checked as ComfyUI imports them, with the core as their sister in one package."""
    (tmp_path / "raxel").symlink_to(ROOT, target_is_directory=True)
    arguments = ("mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "raxel.nodes")
    done = _run(*arguments, "--cache-dir", str(ROOT / ".mypy_cache" / "nodes"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
