import dataclasses
import json
import sys

import cv2
import numpy as np
import pytest
from fake import fake_sample, open_fake, write_fake

from prehend.errors import MissingDependency
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend_training.assets.poses import pose_from_angles
from prehend_training.cli import main as cli
from prehend_training.inspect.plots import write_stats
from prehend_training.inspect.stats import JOINTS, collect, joint_angles, palm_direction, summary
from prehend_training.sample import HAND_PARTS
from prehend_training.storage.shards import ShardFolder


def hand(side, rotations):
    """A label with true joints for these rotations."""
    sample = next(s for s in (fake_sample(3, k) for k in range(30)) if s.hands[0].side == side)
    joints = skin(load_hand_model(side=side), rotations, np.zeros(10)).joints
    return dataclasses.replace(sample.hands[0], rotations=rotations, joints_m=joints)


def test_angles_are_those_the_hand_was_posed_with():
    flexion = np.linspace(-0.2, 1.2, 15)
    for side in ("right", "left"):
        angles = joint_angles(hand(side, pose_from_angles(load_hand_model(side=side), flexion)))
        assert np.allclose(angles[:, 0], flexion, atol=1e-4) and np.abs(angles[:, 1:]).max() < 1e-4
    assert len(JOINTS) == 15 and sum(name.startswith("thumb") for name in JOINTS) == 3


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_palm_points_where_closing_fingers_go(side):
    model = load_hand_model(side=side)
    turn = matrix_from_axis_angle(np.array([0.3, -1.2, 0.5]))
    rest, bent = np.tile(np.eye(3), (16, 1, 1)), pose_from_angles(model, np.full(15, 0.4)).astype(float)
    rest[0] = bent[0] = turn
    open_, closed = (skin(model, pose, np.zeros(10)).joints for pose in (rest, bent))
    moved = (closed - open_)[[8, 12, 16, 20]].mean(0)
    palm = palm_direction(hand(side, rest))
    assert palm @ moved > 0.5 * np.linalg.norm(moved)
    assert np.linalg.norm(palm) == pytest.approx(1)


def test_counts_and_shares_are_those_of_the_samples(frames):
    samples = list(ShardFolder.open(frames))
    hands = [label for sample in samples for label in sample.hands]
    table = collect(ShardFolder.open(frames))
    report = json.loads(json.dumps(summary(table)))
    assert (report["pictures"], report["hands"]) == (len(samples), len(hands))
    assert report["grasp_share"] == pytest.approx(np.mean([label.grasp for label in hands]), abs=1e-4)
    assert sum(report["held"].values()) == sum(label.grasp for label in hands)
    assert sum(report["objects_a_picture"].values()) == len(samples)
    assert report["part_visible_share"]["palm"] == pytest.approx(0.6, abs=1e-3)
    lengths = table.hands["length_mm"]
    assert ((lengths > 100) & (lengths < 280)).all()
    for values in (*table.hands.values(), *table.pictures.values()):
        assert np.isfinite(values).all()
    assert summary(collect(ShardFolder.open(frames), limit=3))["pictures"] == 3


def test_stats_writes_pictures_with_something_on_them(frames, tmp_path, capsys):
    assert cli.main(["stats", str(frames), "--out", str(tmp_path / "plots")]) == 0
    paths = capsys.readouterr().out.split()
    names = {path.rsplit("/", 1)[1] for path in paths}
    wanted = {"pose", "shape", "viewpoint", "visibility", "grasp", "objects", "light", "distance"}
    assert names == {"stats.json", *(f"{name}.png" for name in wanted)}
    for path in paths[1:]:
        image = cv2.imread(path)
        assert min(image.shape[:2]) > 300
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50 and 0.005 < (image < 128).any(-1).mean() < 0.9


def test_what_is_unknown_is_left_out(tmp_path):
    def half(config):
        make = open_fake(config)

        def unit(index):
            (sample,) = make(index)
            unknown = {"grasp": None, "displaced": None, "contact": None, "rotations": None, "betas": None}
            unknown |= {"visible_ratio": np.nan, "part_vertices": np.zeros(6, int)}
            hand = dataclasses.replace(sample.hands[0], **unknown) if index % 2 else sample.hands[0]
            return [dataclasses.replace(sample, hands=(hand,))]

        return unit

    write_fake(tmp_path / "half", "crops", 6, make=half)
    write_fake(tmp_path / "known", "crops", 6)
    table = collect(ShardFolder.open(tmp_path / "half"))
    known = [sample.hands[0].grasp for sample in ShardFolder.open(tmp_path / "known")][::2]
    assert summary(table)["grasp_share"] == pytest.approx(np.mean(known), abs=1e-4)
    assert np.isnan(table.hands["flexion_deg"]).any(1).sum() == 3
    assert summary(table)["parts_paper_share"].keys() == set(HAND_PARTS)
    assert all(path.exists() for path in write_stats(tmp_path / "half", tmp_path / "plots"))


def test_a_folder_without_hands_or_maps_has_statistics_too(tmp_path, monkeypatch):
    def bare(config):
        make = open_fake(config)
        return lambda unit: [dataclasses.replace(make(unit)[0], hands=(), objects=(), maps=None)]

    write_fake(tmp_path / "empty", "frames", 3, size_px=64, make=bare)
    assert cli.main(["stats", str(tmp_path / "empty"), "--out", str(tmp_path / "plots")]) == 0
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"stats.json", "objects.png", "light.png"}
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependency, match="plots"):
        write_stats(tmp_path / "empty", tmp_path / "plots")
