"""How long a checkpoint of the 14B's shapes takes to open, and what it takes of memory: a sparse file of 40 GB.

Nothing of it lies on the disk, so this needs a folder whose file system knows sparse files, and measures the opening
alone: weights are read from the file where a computation first touches them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..model.config import WAN_14B, RaxelConfig
from ..weights.checkpoint import CONFIG_KEY, FORMAT, FORMAT_KEY, load_checkpoint
from ..weights.state_dict import expected_shapes

OPEN_GOAL = 0.05
_WEIGHT_BYTES = 2  # bfloat16


@dataclass(frozen=True)
class Opening:
    """A file of `file_bytes` that opened in `seconds`, the shortest of several times, the first in `first_seconds`.

    `private_bytes` is what the memory that belongs to no file grew by while it was open, None where the system does
    not tell; `largest_bytes` is the file's largest tensor, which that may not exceed.
    """

    file_bytes: int
    seconds: float
    first_seconds: float
    private_bytes: int | None
    largest_bytes: int

    @property
    def met(self) -> bool:
        """Whether it opened in time and within the memory."""
        return self.seconds <= OPEN_GOAL and (self.private_bytes or 0) <= self.largest_bytes


def run_checkpoint_benchmark(*, repeats: int = 10, config: RaxelConfig = WAN_14B) -> Opening:
    """Open a sparse checkpoint of `config` in bfloat16 `repeats` times, in the folder for temporary files."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.safetensors"
        sizes = write_sparse_checkpoint(path, config)
        before, seconds = _private_bytes(), []
        for _ in range(repeats):
            loaded = None  # closing the one before is not part of opening
            started = time.perf_counter()
            loaded = load_checkpoint(path)
            seconds.append(time.perf_counter() - started)
        after = _private_bytes()
        del loaded
        grown = None if before is None or after is None else max(0, after - before)
        return Opening(path.stat().st_size, min(seconds), seconds[0], grown, max(sizes.values()))


def write_sparse_checkpoint(path: Path, config: RaxelConfig) -> Mapping[str, int]:
    """Write a checkpoint whose weights are zeros that take no room on the disk; the bytes of each tensor."""
    sizes = {key: _WEIGHT_BYTES * shape.numel() for key, shape in expected_shapes(config).items()}
    entries: dict[str, object] = {"__metadata__": {CONFIG_KEY: config.to_json(), FORMAT_KEY: FORMAT}}
    end = 0
    for key, shape in expected_shapes(config).items():
        start, end = end, end + sizes[key]
        entries[key] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of 8 bytes
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)
    return sizes


def print_checkpoint_benchmark(opening: Opening) -> None:
    """Print what was measured, and whether it is what was wanted."""
    private = "not told by this system" if opening.private_bytes is None else f"{opening.private_bytes / 1e6:.1f} MB"
    print(
        f"opening a sparse checkpoint of {opening.file_bytes / 1e9:.1f} GB: {1e3 * opening.seconds:.1f} ms "
        f"(the first time {1e3 * opening.first_seconds:.1f} ms), private memory {private}\n"
        f"  goal at most {1e3 * OPEN_GOAL:.0f} ms and the largest tensor's {opening.largest_bytes / 1e6:.1f} MB: "
        f"{'met' if opening.met else 'NOT met'}"
    )


def _private_bytes() -> int | None:
    """The resident memory of this process that belongs to no file, as Linux tells it."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
