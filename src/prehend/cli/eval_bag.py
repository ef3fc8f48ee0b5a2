"""`prehend eval --bag-out`: the answers of a run as a bag."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from prehend.errors import ParameterError
from prehend.eval.judge.summary import Judged
from prehend.io.bag_files import BagFiles
from prehend.io.bag_topics import choose_topic
from prehend.io.sources import is_bag
from prehend.ros.bag_out import write_bag
from prehend.ros.messages import typestore


def write_run(path: Path, run: Judged, keep: Sequence[str]) -> None:
    """Write the answers of a run, with some topics of its bag.

    Raises:
        PrehendError: see `ros.bag_out.write_bag`.
    """
    results = {frame.index: frame.result for frame in run.frames}
    if len(results) < len(run.frames) or any(frame.stamp is None for frame in run.frames):
        raise ParameterError("--bag-out needs images with stamps: a bag or a video")
    events: dict[int, list[dict[str, Any]]] = {}
    for event in run.events:
        place = min(event.frame, len(run.frames) - 1)
        said = {"event": event.what, "track_id": event.track_id, "hand": event.who, "detail": event.detail}
        events.setdefault(run.frames[place].index, []).append(said)

    def shown(steps: Any) -> Any:
        return tqdm(steps, total=len(results), desc=str(path), unit="image", disable=None, leave=False)

    if run.path is None or not is_bag(run.path):
        write_bag(path, results, events, None, None, keep, shown)
        return
    bag = BagFiles(run.path, typestore())
    try:
        images = choose_topic(bag, run.settings.get("topic")).topic
        write_bag(path, results, events, bag, images, keep, shown)
    finally:
        bag.close()
