"""`dataset check FOLDER`: what of a data set can be trained on, and one sentence for each sequence that can not."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import show


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("dataset", help="look at a data set before training on it")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="CO3D: usable sequences and the defects of the others")
    check.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that holds the categories")
    check.add_argument("--annotations", type=Path, help="the folder of prepared *_train.jgz files (FOLDER)")
    check.add_argument("--split", choices=("train", "test"), default="train", help="which split (train)")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Look at every file that is named, and report."""
    from ..ray_diffusion.co3d import check_co3d

    listing = check_co3d(options.folder, split=options.split, annotations=options.annotations)
    photographs = sum(len(frames) for frames in listing.sequences.values())
    body = {"usable": len(listing.sequences), "photographs": photographs, "defects": dict(listing.defects)}
    lines = [f"{len(listing.sequences)} sequences of {photographs} photographs can be used, {len(listing.defects)} not"]
    lines += [f"{name}: {fault}" for name, fault in listing.defects.items()]
    show(body, "\n".join(lines), as_json=options.json)
