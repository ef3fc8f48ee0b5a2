"""Parts of `bench.py`: all backends that run here beside a ResNet-18 trunk, and MediaPipe Hands beside the pipeline.

The jobs take turns, so that a busy machine is busy for all of them; what counts are the ratios.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench_jobs import CLIP, THREADS, resnet18_trunk, stage_jobs, taking_turns

from prehend.backends import BackendSettings, open_backend
from prehend.errors import PrehendError
from prehend.io.sources import open_source
from prehend.pipeline.load import load_estimator
from prehend.weights import load_bundle

WAYS = (
    ("onnx", "", "float32"), ("onnx", "", "float16"), ("onnx", "", "int8"), ("onnx", "openvino", "float32"),
    ("onnx", "cuda", "float32"), ("onnx", "tensorrt", "float32"),
    ("torch", "", "float32"), ("torch", "", "bfloat16"), ("torch", "cuda", "float32"), ("torch", "cuda", "float16"),
    ("tensorrt", "", "float32"), ("tensorrt", "", "float16"),
)  # fmt: skip
HANDS = (1, 2, 4, 8)

_PEER = """
import json, sys, time
import numpy as np, mediapipe as mp
frames = np.load(sys.argv[1])
hands = mp.solutions.hands.Hands(static_image_mode=False, max_num_hands=2, model_complexity=1)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    found = hands.process(frames[int(line) % len(frames)]).multi_hand_landmarks or []
    print(json.dumps([1e3 * (time.perf_counter() - start), len(found)]), flush=True)
"""


def backends(engine_dir: Path | None = None, rounds: int = 30, threads: int = THREADS) -> dict[str, float]:
    """Best times [ms] of each stage on each backend that runs here; prints the table with ratios to the trunk."""
    bundle = load_bundle("unihope-s")
    side = int(bundle.manifest["input"]["size"])
    jobs: dict[str, Callable[[], Any]] = {}
    opened = {}
    for backend, provider, precision in WAYS:
        name = "-".join(filter(None, (backend, provider, precision)))
        settings = BackendSettings(threads=threads, provider=provider, precision=precision, engine_dir=engine_dir)
        try:
            opened[name] = open_backend(backend, bundle, settings)
        except PrehendError as error:
            print(f"{name}: left out: {error}")
            continue
        jobs |= {f"{name} {stage}": job for stage, job in stage_jobs(bundle, backend=opened[name]).items()}
    with tempfile.TemporaryDirectory() as folder:
        trunk = resnet18_trunk(Path(folder) / "resnet18.onnx", side, threads)
        image = np.random.default_rng(0).random((1, 3, side, side), np.float32)
        taken = taking_turns({**jobs, "resnet18": lambda: trunk(image)}, rounds)
    ms = {name: min(times) for name, times in taken.items()}  # the round that others disturbed least
    stages = list(bundle.stages)
    print(f"\n| backend | {' | '.join(f'{stage} [ms]' for stage in stages)} | all, in ResNet-18 trunks |")
    print("|---" * (len(stages) + 2) + "|")
    for name in opened:
        own = [ms[f"{name} {stage}"] for stage in stages]
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in own)} | {sum(own) / ms['resnet18']:.2f} |")
    print(f"| ResNet-18 trunk, onnx-float32 | {ms['resnet18']:.2f} |{' |' * (len(stages) - 1)} 1 |\n")
    return ms | _growth(bundle, opened["onnx-float32"], rounds)


def _growth(bundle: Any, backend: Any, rounds: int) -> dict[str, float]:
    """Best times [ms] of all stages for 1, 2, 4 and 8 hands at once; prints the table."""

    def together(of_stage: dict[str, Callable[[], Any]]) -> Callable[[], Any]:
        return lambda: [job() for job in of_stage.values()]

    jobs = {f"{hands} hands": together(stage_jobs(bundle, backend=backend, items=hands)) for hands in HANDS}
    ms = {name: min(times) for name, times in taking_turns(jobs, max(rounds // 2, 5)).items()}
    one = ms["1 hands"]
    print("| hands at once | all stages [ms] | a hand [ms] | times one hand |\n|---|---|---|---|")
    for hands, value in zip(HANDS, ms.values(), strict=True):
        print(f"| {hands} | {value:.2f} | {value / hands:.2f} | {value / one:.2f} |")
    print()
    return ms


def peer(frames: int = 120, threads: int = 2) -> dict[str, float]:
    """Medians [ms] a frame of the whole pipeline and of MediaPipe Hands, in turns on the same frames: of the clip, two
    hands, one of which holds something, and (`held_`) of that one alone at 720p."""
    python = os.environ.get("PREHEND_MEDIAPIPE")
    if not python:
        print("peer: left out: PREHEND_MEDIAPIPE does not name the Python of an environment with mediapipe")
        return {}
    with open_source(str(CLIP)) as source:
        pictures = [frame.image_rgb for frame in source]
    alone = _in_turns(python, [*map(_held, pictures)], frames, threads)
    return {**_in_turns(python, pictures, frames, threads), **{f"held_{name}": ms for name, ms in alone.items()}}


def _held(picture: np.ndarray) -> np.ndarray:
    """The left half of an image of the clip, where a hand holds something, at 1280 x 720."""
    half = cv2.resize(picture[:, : picture.shape[1] // 2], (480, 720), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(half, 0, 0, 400, 400, cv2.BORDER_REPLICATE)


def _in_turns(python: str, pictures: list[np.ndarray], frames: int, threads: int) -> dict[str, float]:
    ours, theirs = [], []
    with _peer(python, np.stack(pictures)) as ask, load_estimator(threads=threads) as estimator:
        for number in range(frames):
            start = time.perf_counter()
            estimator.estimate(pictures[number % len(pictures)], stamp=number / 30)
            ours.append(1e3 * (time.perf_counter() - start))
            theirs.append(ask(number))
    warm = frames // 6
    found = {"ours_ms": statistics.median(ours[warm:]), "mediapipe_ms": statistics.median(theirs[warm:])}
    return {**found, "ratio": found["ours_ms"] / found["mediapipe_ms"]}


@contextmanager
def _peer(python: str, pictures: np.ndarray) -> Iterator[Callable[[int], float]]:
    """A process with MediaPipe that takes a frame's number and tells how long it took [ms]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npy"
        np.save(path, pictures)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        process = subprocess.Popen(
            [python, "-c", _PEER, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        asked, answers = process.stdin, process.stdout
        assert asked is not None and answers is not None
        if answers.readline().strip() != "ready":
            raise SystemExit(f"bench: {python} cannot import mediapipe (PREHEND_MEDIAPIPE)")

        def ask(number: int) -> float:
            asked.write(f"{number}\n")
            asked.flush()
            return float(json.loads(answers.readline())[0])

        try:
            yield ask
        finally:
            asked.close()
            process.wait(10)
