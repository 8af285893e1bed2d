"""The sample clips and cameras that example workflows open, put where ComfyUI's own loaders look."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import folder_paths

FOLDER = Path(__file__).resolve().parents[2] / "samples"


def put_samples() -> None:
    """Copy each sample into ComfyUI's input folder, once: what has its name there is left as it is.

    Where the folder cannot be written, the log says so; the nodes do not need the samples.
    """
    target = Path(folder_paths.get_input_directory())
    for sample in sorted(FOLDER.glob("raxel_sample*")):
        place = target / sample.name
        try:
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if sample.is_dir() else shutil.copy)(sample, place)
        except OSError as error:
            logging.warning("Raxel: the sample %s was not put into %s: %s", sample.name, target, error)
            return
