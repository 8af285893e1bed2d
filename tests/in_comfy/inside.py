"""The first steps and the last of a script that a ComfyUI's own interpreter runs: `comfy_process.py` starts them.

    python SCRIPT COMFYUI PACK ARGUMENT...

A script imports this before anything of ComfyUI; what it imports afterwards is as in a started ComfyUI.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import sys
import traceback
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any


def enter(*, base: bool = False) -> list[str]:
    """ComfyUI's folder first on the path, its options parsed, the pack imported as `raxel`; the script's arguments.

    With `base` the first of them is ComfyUI's base directory.
    """
    comfy, pack, *arguments = sys.argv[1:]
    sys.path.insert(0, comfy)
    sys.argv = ["checks", "--cpu", *(["--base-directory", arguments[0]] if base else [])]
    options = importlib.import_module("comfy.options")
    options.enable_args_parsing()
    importlib.import_module("utils.extra_config")  # as main.py does: later, a folder of ComfyUI hides this package
    spec = importlib.util.spec_from_file_location(
        "raxel", Path(pack) / "__init__.py", submodule_search_locations=[pack]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["raxel"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["raxel"])
    return arguments


def report_checks(names: dict[str, Any], report: str, *, between: Callable[[], None] = lambda: None) -> None:
    """Run each function check_... of `names`, or those that CHECKS of the environment finds, and write the JSON object
    of their names and tracebacks ("" = passed); `between` runs after each."""
    import torch

    told, chosen = {}, os.environ.get("CHECKS", "")
    for name, check in [(n, f) for n, f in names.items() if n.startswith("check_") and re.search(chosen, n)]:
        torch.manual_seed(0)
        try:
            check()
            told[name] = ""
        except unittest.SkipTest as reason:
            told[name] = f"skipped: {reason}"
        except Exception:  # noqa: BLE001
            told[name] = traceback.format_exc()
        between()
    Path(report).write_text(json.dumps(told), encoding="utf-8")
