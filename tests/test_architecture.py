"""The house rules that a machine can check: who imports whom, names, sizes, annotations, lint and types."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "raxel_core"
SHIPPED = sorted([*CORE.rglob("*.py"), *(ROOT / "nodes").rglob("*.py"), ROOT / "__init__.py"])

# What each part of the core may import from the core, besides itself; None: everything.
LADDER: dict[str, set[str] | None] = {
    "atomic_file": set(),
    "parallel": set(),
    "geometry": set(),
    "latents": set(),
    "model": {"atomic_file"},
    "sampling": set(),
    "framing": {"geometry"},
    "raxels": {"geometry"},
    "ray_tokens": {"geometry", "latents"},
    "camera_io": {"atomic_file", "geometry"},
    "camera_sockets": {"geometry", "camera_io", "framing", "latents"},
    "video_io": {"framing", "atomic_file"},
    "canvas": set(),
    "plot": {"geometry", "canvas"},
    "overlay": {"geometry", "canvas", "framing"},
    "path_mesh": {"geometry", "canvas", "camera_io"},
    "depth_map": {"geometry", "framing"},
    "point_splat": {"geometry", "framing", "depth_map"},
    "recipe": {"latents"},
    "offload": {"model"},
    "raxel_model": {"geometry", "raxels", "latents", "model", "recipe", "offload"},
    "denoising": {"geometry", "raxels", "latents", "sampling", "framing", "raxel_model"},
    "pipeline": {"geometry", "raxels", "latents", "sampling", "framing", "raxel_model", "denoising"},
    "evaluation": {"geometry", "camera_io"},
    "training": {"atomic_file", "geometry", "raxels", "ray_tokens", "latents", "model", "sampling", "recipe"},
    "benchmarks": {"geometry", "raxels", "camera_sockets", "model", "offload"},
    "cli": None,
    "__main__": {"cli"},
    "__init__": set(),
}
MODEL_LADDER = ["config", "rope", "attention", "sequence_parallel", "layers", "blocks", "transformer"]
PACKAGES = {
    "geometry": {"torch", "einops"},
    "latents": {"torch", "einops", "safetensors", "diffusers"},
    "model": {"torch", "einops", "safetensors"},
    "sampling": {"torch", "einops"},
    "raxels": {"torch", "einops"},
    "camera_io": {"torch", "numpy"},
    "camera_sockets": {"torch", "numpy"},
}
# What `benchmark` compares with where it is installed.
COMPARED = {"pytorch3d", "roma", "scipy", "evo"}
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
    return {re.split(r"[\s<>=~!;\[(]", line)[0] for line in requirements if line and "extra ==" not in line}


def test_what_the_core_imports_is_installed_with_the_pack():
    """A package outside requirements.txt has to come with one that is named there (psutil does, with accelerate)."""
    listed = _packages((ROOT / "requirements.txt").read_text().splitlines())
    brought = {package for name in listed for package in _packages(metadata.requires(name) or [])}
    installed = {"cv2" if name == "opencv-python" else name for name in listed | brought}
    for path in CORE.rglob("*.py"):
        tops = {name.split(".")[0] for level, name in _imports(path) if not level}
        foreign = tops - sys.stdlib_module_names - installed - COMPARED
        assert not foreign, f"{path.name} imports {foreign}, which requirements.txt does not bring"


def test_model_files_import_only_down_the_ladder():
    for path in (CORE / "model").glob("*.py"):
        if path.stem not in MODEL_LADDER:
            continue
        lower = MODEL_LADDER[: MODEL_LADDER.index(path.stem)]
        for level, name in _imports(path):
            if level == 1:
                assert name.split(".")[0] in lower, f"model/{path.name} imports {name}"


def test_node_files_import_the_core_relatively_and_not_each_other():
    for path in (ROOT / "nodes").rglob("*.py"):
        for level, name in _imports(path):
            assert not name.startswith("raxel_core") or level >= 2, f"{path.name} imports {name} absolutely"
            if level == 1 and path.parent.name == "nodes" and path.stem != "__init__":
                assert name.split(".")[0] in {"sockets", "bridge"}, f"nodes/{path.name} imports nodes/{name}"


def test_root_module_imports_nothing_of_comfyui_at_import():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in top)


def test_file_names_are_nouns_of_the_field():
    assert not [p for p in SHIPPED if p.stem in BANNED_FILES]
    names = [p.stem for p in (ROOT / "tests").glob("test_*.py")]
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


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_lint_is_clean():
    done = _run("ruff", "check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_clean():
    done = _run("mypy")
    assert done.returncode == 0, done.stdout + done.stderr
