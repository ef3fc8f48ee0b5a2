"""`prehend eval --bag-out`: the answers of a run as a bag."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from prehend.errors import ParameterError
from prehend.eval.judge.motion import is_sequence
from prehend.eval.judge.summary import Judged
from prehend.io.bags.files import BagFiles
from prehend.io.bags.topics import choose_topic
from prehend.io.sources import is_bag
from prehend.pipeline.tracking.events import told_or_made
from prehend.ros.messages import typestore
from prehend.ros.outputs.bag_out import write_bag


def write_run(path: Path, run: Judged, keep: Sequence[str]) -> None:
    """Write the answers of a run, with some topics of its bag.

    Raises:
        PrehendError: see `ros.outputs.bag_out.write_bag`.
    """
    results = {frame.index: frame.result for frame in run.frames}
    if len(results) < len(run.frames) or any(frame.stamp is None for frame in run.frames):
        raise ParameterError("--bag-out needs images with stamps: a bag or a video")
    if is_sequence(run.frames):  # of an older file they are not told
        told = told_or_made([frame.result for frame in run.frames])
        results = {
            frame.index: replace(frame.result, events=said) for frame, said in zip(run.frames, told, strict=True)
        }

    def shown(steps: Any) -> Any:
        return tqdm(steps, total=len(results), desc=str(path), unit="image", disable=None, leave=False)

    if run.path is None or not is_bag(run.path):
        write_bag(path, results, None, None, keep, shown)
        return
    bag = BagFiles(run.path, typestore())
    try:
        images = choose_topic(bag, run.settings.get("topic")).topic
        write_bag(path, results, bag, images, keep, shown)
    finally:
        bag.close()
