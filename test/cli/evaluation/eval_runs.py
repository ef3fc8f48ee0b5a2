"""`prehend eval` in this process, with an estimator whose answers are known; and its files as they lie there."""

import csv
import json
from pathlib import Path

from prehend.cli.evaluation.eval import run

FRAMES = 12
"""Of the bag that `hand_bag` writes."""


def evaluate(load, out, *arguments):
    code = run([*map(str, arguments), "--out", str(out)], load)
    return code, json.loads((out / "metrics.json").read_text())


def only(metrics):
    (run,) = metrics["runs"].values()
    return run


def lines(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
