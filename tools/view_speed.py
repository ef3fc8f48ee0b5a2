"""How much a viewer of `prehend view` slows the estimator down: `python tools/view_speed.py --help`.

Blocks of frames with and without viewers take turns in one process, so that what else the machine does falls on both.
The viewers are processes of their own that read the events as they come; what a browser needs to draw is not counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from prehend.io.sources import Frame, open_source
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.load import load_estimator
from prehend.view.feed import Feed
from prehend.view.packets import constants
from prehend.view.seen import HeldBoxes, Seen
from prehend.view.server import ViewServer

CLIP = Path(__file__).parents[1] / "examples" / "hands.mp4"
READER = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1] + "events") as stream:
    while stream.read1(1 << 16):
        pass
"""


def block(estimator: Estimator, feed: Feed, frames: Sequence[Frame], first: int) -> tuple[float, float]:
    """Wall and processor time of some frames [s a frame]."""
    wall, used = time.perf_counter(), time.process_time()
    for number, frame in enumerate(frames, first):
        feed.show(Seen(number, number / 30, frame, estimator.estimate(frame.image_rgb, None, number / 30)))
    count = len(frames)
    return (time.perf_counter() - wall) / count, (time.process_time() - used) / count


def measure(args: argparse.Namespace) -> dict[str, float]:
    """The two ratios, and what they come from."""
    with open_source(str(args.clip)) as source:
        frames = list(source)[: args.frames]
    estimator = load_estimator(threads=args.threads)
    estimator.warm_up()
    faces = {side: model.faces for side, model in estimator.hand_models.items()}
    feed = Feed({"source": "clip", "live": True, "model": "", **constants(faces)}, HeldBoxes({}))
    times: dict[int, list[tuple[float, float]]] = {0: [], args.viewers: []}
    with ViewServer(feed, None, "127.0.0.1", 0) as server:
        block(estimator, feed, frames, 1)
        number = 1 + len(frames)
        for turn in tqdm(range(2 * args.turns), unit="block"):
            viewers = args.viewers if turn % 4 in (1, 2) else 0
            readers = [subprocess.Popen([sys.executable, "-c", READER, server.url]) for _ in range(viewers)]
            while feed.viewers != viewers:
                time.sleep(0.05)
                feed.show(Seen(number, number / 30, frames[0], estimator.estimate(frames[0].image_rgb)))
                number += 1
            times[viewers].append(block(estimator, feed, frames, number))
            number += len(frames)
            for reader in readers:
                reader.kill()
                reader.wait()
    (wall0, used0), (wall1, used1) = (map(statistics.median, zip(*times[n], strict=True)) for n in (0, args.viewers))
    return {
        "viewers": args.viewers,
        "frames_per_block": len(frames),
        "blocks": args.turns,
        "fps_without": round(1 / wall0, 1),
        "fps_with": round(1 / wall1, 1),
        "fps_ratio": round(wall0 / wall1, 3),
        "cpu_ms_without": round(1e3 * used0, 2),
        "cpu_ms_with": round(1e3 * used1, 2),
        "cpu_ratio": round(used1 / used0, 3),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--viewers", type=int, default=1)
    parser.add_argument("--frames", type=int, default=60, help="of a block")
    parser.add_argument("--turns", type=int, default=8, help="blocks of each kind")
    parser.add_argument("--threads", type=int, default=0)
    print(json.dumps(measure(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
