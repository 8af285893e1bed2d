"""Run fuzz targets: see `frame`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from tests.fuzz.camera_readers import camera_targets
from tests.fuzz.frame import Target, fuzz
from tests.fuzz.headers import header_targets
from tests.fuzz.payloads import payload_targets


def targets() -> dict[str, Target]:
    """All targets by name."""
    return {target.name: target for target in (*camera_targets(), *header_targets(), *payload_targets())}


def main() -> int:
    """Run one target, or all; the exit status."""
    name, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    torch.set_num_threads(1)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for target in targets().values() if name == "all" else [targets()[name]]:
            print(json.dumps(fuzz(target, count, seed, Path(folder))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
