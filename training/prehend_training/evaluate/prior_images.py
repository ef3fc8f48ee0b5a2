"""How good the hands are that a prior reads from images, one or several hypotheses each (HHMR, section 4)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.errors import AssetError, InvalidInput
from prehend.eval.metrics import aligned, point_errors
from prehend.pipeline.crops.crop import CropSpec, cut, region_of
from prehend.prior.conditions import FEWEST_KEYPOINTS, Conditions
from prehend.prior.sampler import HandPrior, Sampling
from prehend.types import FloatArray
from prehend_training.evaluate.crops import CropReader, Labelled
from prehend_training.evaluate.hhmr import HYPOTHESES, NOISE_PX, best_of
from prehend_training.evaluate.labels import Samples, is_in_picture, spread_rows
from prehend_training.sample import Sample


class Shown(NamedTuple):
    """A hand as a prior is shown it.

    Attributes:
        labelled: the hand and its image.
        crop: (3, S, S) RGB in [0, 1].
        joints: its joints that are seen, in the image; None of too few to place it.
    """

    labelled: Labelled
    crop: NDArray[np.float32]
    joints: Conditions | None


def image_report(
    prior: HandPrior, samples: Samples, hands: int, sampling: Sampling, beside: CropReader | None = None
) -> dict[str, float]:
    """Errors of hypotheses, every hand aligned to the truth (rotation, place, scale).

    Args:
        prior: that looks at images.
        samples: images with labels that it did not learn from; hands without side or joints in space do not count.
        hands: how many are asked for, spread over the images.
        sampling: how they are drawn.
        beside: a crop network whose one answer stands beside it.

    Returns:
        By what is shown (the image; joints that are seen, with 2 px of noise; both): mean error of the joints [mm] of
        the best of n hypotheses and of the mean of n, and where the labels have meshes that of the vertices of the
        best. `network_mm`: of the joints of `beside`, where it gives a pose.

    Raises:
        InvalidInput: the prior looks at no images.
        AssetError: the images show no hand.
    """
    rng = np.random.default_rng(sampling.seed)
    if prior.crop_size is None:
        raise InvalidInput(f"weights '{prior.name}' look at no images: nothing can be read by them")
    shown = list(_shown(samples, hands, prior.crop_size, rng))
    if not shown:
        raise AssetError("the pictures show no hand: nothing can be measured")
    found: dict[str, list[float]] = {}
    for one in tqdm(shown, unit="hand", desc="reading images", disable=None):
        for name, value in _errors(prior, one, sampling):
            found.setdefault(name, []).append(value)
    report = {name: float(np.mean(values)) for name, values in found.items()}
    return report if beside is None else report | _network_report(beside, [one.labelled for one in shown])


def _shown(samples: Samples, hands: int, size: int, rng: np.random.Generator) -> Iterator[Shown]:
    for row in spread_rows(samples, hands):
        sample = samples[row]
        for hand in sample.hands:
            if not (is_in_picture(sample, hand) and hand.has_joints and hand.side_known):
                continue
            image_size = sample.image.shape[1], sample.image.shape[0]
            spec = CropSpec.from_region(region_of(hand.keypoints_px), hand.side, image_size, size=size)
            one = Labelled(sample, hand, None)
            yield Shown(one, cut(sample.image, spec).image, _joints(sample, one, rng))


def _joints(sample: Sample, one: Labelled, rng: np.random.Generator) -> Conditions | None:
    keypoints = one.hand.keypoints_px + rng.normal(0, NOISE_PX, one.hand.keypoints_px.shape)
    seen = np.asarray(one.hand.visible, bool)
    if seen.sum() < FEWEST_KEYPOINTS:
        return None
    known = np.where(seen[:, None], keypoints, np.nan)
    return Conditions(side=one.hand.side, keypoints_px=known, keypoints_std_px=NOISE_PX, camera=sample.camera)


def _errors(prior: HandPrior, one: Shown, sampling: Sampling) -> Iterator[tuple[str, float]]:
    side = Conditions(side=one.labelled.hand.side)
    asked: list[tuple[str, Conditions, NDArray[np.float32] | None]] = [("image", side, one.crop)]
    if one.joints is not None:
        asked += [("joints", one.joints, None), ("both", one.joints, one.crop)]
    truth, mesh = one.labelled.hand.joints_m, one.labelled.hand.vertices_m
    for name, known, crop in asked:
        answer = prior.sample(max(HYPOTHESES), known, sampling, None if crop is None else crop.astype(np.float64))
        drawn = answer.joints_m
        yield from _named(name, best_of(aligned_mm(drawn, truth)))
        if mesh.shape == answer.vertices_m.shape[1:]:
            yield from _named(f"{name}_vertices", best_of(aligned_mm(answer.vertices_m, mesh)))
        about = drawn - drawn[:, :1]
        yield from (
            (f"{name}_mean_of_{count}_mm", float(aligned_mm(about[:count].mean(0, keepdims=True), truth)[0]))
            for count in HYPOTHESES[1:]
        )


def _named(name: str, errors: dict[str, float]) -> Iterator[tuple[str, float]]:
    return ((f"{name}_{kind}", value) for kind, value in errors.items())


def aligned_mm(points_m: FloatArray, truth_m: FloatArray) -> FloatArray:
    """(n, N, 3), (N, 3) -> (n,) mean distance of joints or vertices after Procrustes alignment [mm]."""
    truth = np.broadcast_to(truth_m, np.shape(points_m))
    return 1000 * np.asarray(point_errors(aligned(points_m, truth), truth), np.float64).mean(-1)


def _network_report(reader: CropReader, hands: Sequence[Labelled]) -> dict[str, float]:
    """`network_mm`; nothing where the network gives no pose of any hand."""
    answers = [reader.answers([one])[0].hand for one in hands]
    pairs = [(said.joints_m, one.hand.joints_m) for said, one in zip(answers, hands, strict=True) if said is not None]
    off = [aligned_mm(said[None], truth)[0] for said, truth in pairs]
    return {"network_mm": float(np.mean(off))} if off else {}
