"""Crops that are cut where the network runs, against the processor's: levels, joints, times. For `gpu_check.py`."""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from prehend.backends import Backend
from prehend.backends.base import Array, DeviceImage, cutting
from prehend.export.parity import NUM_CROPS, fixed_crops
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.crops.crop import CROP_SCALE, CropSpec, cut
from prehend.pipeline.crops.uncut import CropSource, UncutCrop
from prehend.pipeline.networks.network import HandNetwork
from prehend.types import FloatArray, Region

HANDS = (1, 2, 8)
WIDTH, HEIGHT, _TILE = 1280, 720, 320
ALLOWED_LEVELS = 0.5
"""Grey levels, of all values on average."""

_LONGEST_S = 0.5
"""Time for one figure."""


def hands_in_a_frame(side: int) -> tuple[np.ndarray, list[CropSpec]]:
    """The fixed crops of eight hands in one 720p frame, and where to cut them with a side of `side` [px]: a little
    turned, every other one as a left hand, some enlarged and some shrunk."""
    tiles = (fixed_crops(side) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    frame, specs = np.zeros((HEIGHT, WIDTH, 3), np.uint8), []
    for k, tile in enumerate(tiles):
        x, y = _TILE * (k % 4), _TILE * (k // 4)
        frame[y : y + _TILE, x : x + _TILE] = cv2.resize(tile, (_TILE, _TILE))
        longer = _TILE / CROP_SCALE * (0.6 + 0.05 * k)
        region = Region((x + _TILE / 2, y + _TILE / 2), longer, longer, 0.2 * k - 0.7)
        specs.append(CropSpec.from_region(region, "left" if k % 2 else "right", (WIDTH, HEIGHT), size=side))
    return frame, specs


def joints_of(network: HandNetwork, picture: CropSource, specs: Sequence[CropSpec]) -> FloatArray:
    """(B, 21, 3) joints that the whole hand stage answers, with an object in each hand [m]."""
    crops = [picture.cut(spec) for spec in specs]
    answers = network.answer(crops, network.encode(crops), range(len(specs)), [True] * len(specs))
    pose, shape = (np.stack([getattr(one, name) for one in answers]) for name in ("rotations", "betas"))
    return np.asarray(skin(load_hand_model(), pose, shape).joints)


def measure_crops(backend: Backend, provider: str) -> dict[str, Any]:
    """What `crops_table` shows of a backend, whose network runs on a provider."""
    if cutting(backend) is None:
        return {"missing": "torch is not here or sees no GPU: the processor cuts"}
    from prehend.backends.torch_crops import Cutter

    network, cutter = HandNetwork(backend), Cutter(provider)
    image, specs = hands_in_a_frame(network.crop_size)

    def here(count: int) -> Array:
        return np.stack([cut(image, spec).image for spec in specs[:count]])

    def there(count: int) -> Any:
        frame = DeviceImage(image)
        images = cutter.cut([UncutCrop(spec, frame) for spec in specs[:count]])
        images[-1, 0, 0, 0].item()  # waits for the device
        return images

    levels = 255 * np.abs(there(NUM_CROPS).cpu().numpy() - here(NUM_CROPS))
    ways = {"device": lambda: network.picture(image), "processor": lambda: CropSource(image)}
    device, processor = (joints_of(network, way(), specs) for way in ways.values())
    away_mm = 1e3 * np.linalg.norm(device - processor, axis=-1)
    report: dict[str, Any] = {"levels": float(levels.max()), "levels_mean": float(levels.mean())}
    report |= {"joints_mm": float(away_mm.max()), "ms": {}}
    for count in HANDS:
        stage = {name: _median_ms(_stage(network, way, specs[:count])) for name, way in ways.items()}
        cuts = {"device": _median_ms(partial(there, count)), "processor": _median_ms(partial(here, count))}
        report["ms"][str(count)] = {"crops": cuts, "stage": stage}
    return report


def crops_table(reports: dict[str, dict[str, Any]]) -> str:
    """The reports as Markdown: those of checks that cut, and what is missing."""
    head = ["crops cut by", "levels off, worst (mean)", "joints off [mm], worst"]
    head += [f"upload and crops of {n} [ms] (OpenCV)" for n in HANDS]
    head += [f"hand stage of {n} [ms] (OpenCV's crops)" for n in HANDS]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, report in reports.items():
        told = report.get("crops", {key: report[key] for key in ("missing", "failed") if key in report})
        cells = [f"{key}: {told[key]}" for key in ("missing", "failed") if key in told] + [""] * (len(head) - 2)
        if "ms" in told:
            cells = [f"{told['levels']:.0f} ({told['levels_mean']:.3f})", f"{told['joints_mm']:.3g}"]
            for what in ("crops", "stage"):
                pairs = [told["ms"][str(n)][what] for n in HANDS]
                cells += [f"{pair['device']:.2f} ({pair['processor']:.2f})" for pair in pairs]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _stage(network: HandNetwork, way: Callable[[], CropSource], specs: Sequence[CropSpec]) -> Callable[[], Any]:
    """Crops, and all that the network says of them, of a frame that is new each time."""

    def run() -> None:
        picture = way()
        crops = [picture.cut(spec) for spec in specs]
        network.answer(crops, network.encode(crops), range(len(specs)), [True] * len(specs))

    return run


def _median_ms(job: Callable[[], Any]) -> float:
    job()  # what happens once happens here
    times: list[float] = []
    ends = time.perf_counter() + _LONGEST_S
    while len(times) < 3 or (len(times) < 100 and time.perf_counter() < ends):
        start = time.perf_counter()
        job()
        times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times), 3)
