"""`prehend eval` with a dataset as source and truth, through the readers of the training package."""

import json
from dataclasses import replace

import numpy as np
import pytest

from prehend.cli.evaluation.eval import run
from prehend.hand_model import load_hand_model
from prehend.types import Box, FrameResult, GraspEstimate, HandEstimate
from prehend_training.datasets import open_dataset

pytest.importorskip("matplotlib")
pytest_plugins = ("dataset_fixtures",)


class Knowing:
    """An estimator that knows the labels of a dataset and says them 5 mm too far to the right."""

    drops: dict[str, int] = {}  # noqa: RUF012

    def __init__(self, samples):
        self.samples, self.number = samples, 0
        self.hand_models = {side: load_hand_model(side=side) for side in ("left", "right")}
        self.bundle = type("Bundle", (), {"name": "knowing", "weights_sha256": "00"})()

    def estimate(self, image, camera=None, stamp=None, boxes=None):
        sample = self.samples[self.number]
        self.number += 1
        hands = []
        for track, label in enumerate(sample.hands, 1):
            keypoints = label.keypoints_px
            state = "grasping" if label.grasp else "not_grasping"
            hands.append(
                HandEstimate(
                    track, label.side, 1.0, Box.around(keypoints), keypoints, label.joints_m + np.array([0.005, 0, 0]),
                    np.zeros((0, 3)), np.tile(np.eye(3), (16, 1, 1)), np.zeros(10), np.ones(21, bool),
                    GraspEstimate(state, 1.0),
                )
            )  # fmt: skip
        return FrameResult(replace(sample.camera), tuple(hands), stamp, {}, True)

    def warm_up(self):
        pass

    def reset(self):
        pass

    def close(self):
        pass


@pytest.mark.parametrize(("name", "split"), [("freihand", "evaluation"), ("dexycb", "all")])
def test_a_dataset_is_source_and_truth(request, tmp_path, name, split):
    root = request.getfixturevalue(name)[0]
    samples = open_dataset(name, root, split)
    command = [str(root), "--truth", f"{name}:{split}", "--out", str(tmp_path / "out")]
    assert run(command, lambda args, tracking: Knowing(samples)) == 0
    (judged,) = json.loads((tmp_path / "out" / "metrics.json").read_text())["runs"].values()
    hands = [hand for sample in samples for hand in sample.hands]
    assert judged["hands"]["labelled"] == judged["hands"]["found"] == len(hands) and judged["hands"]["side_right"] == 1
    assert judged["joints"]["absolute"]["mean_mm"] == pytest.approx(5, abs=0.05)
    assert judged["joints"]["wrist"]["mean_mm"] == pytest.approx(0, abs=0.05)
    if name == "dexycb":
        assert judged["grasp"]["accuracy"] == 1 and judged["objects"]["all"]["labelled"] > 0
