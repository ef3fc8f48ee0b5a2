"""The shipped weights in the whole chain; skipped in a checkout that has none yet."""

import numpy as np
import pytest

from prehend.errors import UnknownName, WeightsMismatch
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.load import load_estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Box, FoundHand
from prehend.weights import available

needs_weights = pytest.mark.skipif(
    not {"unihope-s", "palm"} <= set(available()), reason="the weights unihope-s and palm are not in this checkout"
)


def test_unknown_weights_are_named() -> None:
    with pytest.raises(UnknownName, match="no-such-weights"):
        load_estimator(model="no-such-weights")


def test_options_are_known_by_name() -> None:
    with pytest.raises(UnknownName, match=r"finder.*detector"):
        load_estimator(finder="palm")
    assert EstimatorOptions(object_id="mug, box,").object_ids == ("mug", "box")


@needs_weights
def test_the_former_way_still_works_and_says_what_to_type() -> None:
    with pytest.warns(FutureWarning, match=r"load_estimator.*`detector`"):
        estimator = Estimator.from_pretrained("unihope-s", finder="palm", config=EstimatorOptions(tracking=False))
    with estimator:
        assert estimator.bundle.name == "unihope-s"


@needs_weights
def test_unknown_objects_and_swapped_weights_are_named() -> None:
    with pytest.raises(UnknownName, match=r"unicorn.*mug"):
        load_estimator(object_id="unicorn")
    with pytest.raises(WeightsMismatch, match="encode"):
        load_estimator(model="palm")
    with pytest.raises(WeightsMismatch, match="find"):
        load_estimator(detector="unihope-s")


@needs_weights
def test_a_picture_goes_through_and_what_comes_out_is_sound() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 80, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with load_estimator(threads=1) as estimator:
        estimator.warm_up()
        assert estimator.estimate(np.zeros((480, 640, 3), np.uint8)).hands == ()
        boxes = [FoundHand(Box(100, 100, 220, 240), "left"), FoundHand(Box(300, 100, 420, 240), "right")]
        result = estimator.estimate(image, boxes=boxes)
    assert len(result.hands) + sum(estimator.drops.values()) == 2
    for hand in result.hands:
        assert hand.joints_m[:, 2].min() > 0.02
        assert np.isfinite(hand.vertices_m).all()
        np.testing.assert_allclose(np.linalg.det(hand.rotations), 1, atol=1e-3)
