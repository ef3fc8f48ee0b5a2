"""Conditions: drawn from labels alone, made anew from library and photographs, and fitted to photographs."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.errors import AssetError, InvalidInput
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.types import Box
from prehend_training.boost.create import CHECKED, CreateConfig, Creator, create_conditions
from prehend_training.boost.fit import FitConfig, FitRule, fit_photographs
from prehend_training.boost.folders import read_units
from prehend_training.boost.generator.conditions import at_size, draw_condition, solid_of, why_unusable
from prehend_training.boost.generator.data import open_crops
from prehend_training.boost.poses import read_real
from prehend_training.cli.main import main
from prehend_training.grasps.checks import check
from prehend_training.objects.asset_split import HELD_OUT_OBJECTS
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, write_labels
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE
from prehend_training.storage.shards import ShardFolder


def test_maps_show_the_hand_where_it_is(conditions):
    right = []
    for sample in open_crops(conditions):
        condition = draw_condition(sample, 128)
        hand, drawn = sample.segmentation == HAND_CODE, condition.segmentation
        thing = drawn == OBJECT_CODE
        assert set(np.unique(drawn)) <= {HAND_CODE, OBJECT_CODE, OTHER_CODE}
        # the picture's hand has an arm, that of the condition has none
        assert hand[drawn == HAND_CODE].mean() > 0.97
        right.append(sample.segmentation[thing] == OBJECT_CODE)
        front = condition.front[:, ::-1] if condition.mirrored else condition.front
        assert np.array_equal(front, drawn != OTHER_CODE)
        assert (condition.texture.any(-1) == condition.front)[condition.front].mean() > 0.99
        assert not condition.normals[~condition.front].any()
        lengths = np.linalg.norm(condition.normals[condition.front].astype(float), axis=-1)
        assert np.abs(lengths - 127).max() < 3 and (condition.normals[condition.front][:, 2] <= 3).mean() > 0.97
    assert np.concatenate(right).mean() > 0.9


def test_a_left_hand_is_shown_as_the_right_hand_of_the_mirror_image(conditions):
    right = next(one for one in open_crops(conditions) if one.hands[0].side == "right")
    hand, flip = right.hands[0], np.array([-1.0, 1, 1])
    K = right.camera.K.copy()
    K[0, 2] = right.camera.width - 1 - K[0, 2]
    left = replace(
        right,
        image=np.ascontiguousarray(right.image[:, ::-1]),
        camera=replace(right.camera, K=K),
        objects=(),
        hands=(
            replace(
                hand, side="left", rotations=MIRROR @ hand.rotations @ MIRROR, joints_m=hand.joints_m * flip,
                vertices_m=hand.vertices_m * flip, grasp=False, object_index=None,
            ),
        ),
    )  # fmt: skip
    alone = replace(right, objects=(), hands=(replace(hand, grasp=False, object_index=None),))
    ours, theirs = draw_condition(alone, 64), draw_condition(left, 64)
    assert theirs.mirrored and not ours.mirrored
    assert np.allclose(ours.orientation, theirs.orientation, atol=1e-4)
    assert (ours.front == theirs.front).mean() > 0.99
    assert np.abs(ours.texture.astype(int) - theirs.texture).mean() < 1.5
    assert np.allclose(np.linalg.norm(ours.orientation), 1) and ours.orientation[3] >= 0
    assert np.allclose(matrix_from_quaternion(ours.orientation) @ matrix_from_quaternion(ours.orientation).T, np.eye(3))


def test_a_scaled_sample_has_its_labels_in_their_places(conditions):
    sample = open_crops(conditions).sample(0, "none")
    small = at_size(sample, 64)
    assert small.image.shape == (64, 64, 3) and small.segmentation.shape == (64, 64)
    points = sample.hands[0].joints_m @ small.camera.K.T
    assert np.allclose(points[:, :2] / points[:, 2:], small.hands[0].keypoints_px, atol=1e-3)
    assert np.abs(draw_condition(sample, 64).texture.astype(int) - draw_condition(small, 64).texture).mean() < 3


def test_a_created_set_repeats_by_its_seed_and_may_grow(conditions, tmp_path):
    config = CreateConfig(seed=5, objects=("mug", "apple"))
    create_conditions(tmp_path / "again", config, 3)
    create_conditions(tmp_path / "again", config, 6)
    shas = [json.loads((path / "shard-00000.json").read_text())["sha256"] for path in (conditions, tmp_path / "again")]
    assert shas[0] == shas[1]
    with pytest.raises(InvalidInput, match="seed is 5 and not 6"):
        create_conditions(tmp_path / "again", replace(config, seed=6), 6)


def test_conditions_have_every_label_and_say_where_they_come_from(conditions):
    units, folder = read_units(conditions), open_crops(conditions)
    assert [unit["unit"] for unit in units] == list(range(6)) and {unit["pose"] for unit in units} == {"synthetic"}
    for unit, sample in zip(units, folder, strict=True):
        (hand,), (thing,) = sample.hands, sample.objects
        assert thing.object_id == unit["object"] and hand.grasp and hand.contact.any() and why_unusable(sample) is None
        assert sample.frame_id.source == "handbooster" and sample.frame_id.index == unit["unit"]
        assert hand.part_vertices.any() and hand.visible_ratio > 0.2
        box = Box(*hand.box_px)
        assert max(box.width, box.height) == pytest.approx(64, rel=0.02) and np.allclose(box.center, 63.5, atol=1)


def test_other_shapes_leave_grasps_valid(renderer):
    creator = Creator(CreateConfig(seed=1, objects=("mug",), shape=0.8))
    chosen = creator.chosen("mug")
    for row in range(4):
        draft = creator._held(np.random.default_rng(row), chosen, row, {})
        if draft.told["shape"]:
            T = chosen.grasps.hands.T_object_hand[row]
            report = check(chosen.grasps.held(row, solid("mug")).solid, draft.grasp.betas, draft.grasp.angles, T)
            assert all(report.passed[name] for name in CHECKED)
            assert not np.allclose(draft.grasp.betas, chosen.grasps.hands.betas[row])


def solid(object_id):
    from prehend_training.objects import catalogue

    return catalogue()[object_id]


@pytest.fixture(scope="module")
def photographs(renderer, tmp_path_factory):
    """Rendered hands as photographs with labels: what nobody can tell from real ones here is their place."""
    from prehend_training.scenes.render.render import crop_sample

    folder = tmp_path_factory.mktemp("photographs")
    photos = []
    for number in range(10):
        sample = crop_sample(renderer, 77, number, 200)
        hand = sample.hands[0]
        cv2.imwrite(str(folder / f"{number}.png"), sample.image[..., ::-1])
        box = Box.around(hand.keypoints_px)
        label = PhotoHand(box, hand.keypoints_px, None, hand.side, bool(hand.grasp))
        photos.append(Photo(f"{number}.png", (200, 200), (label,), True))
    write_labels(folder / "labels.json", PhotoLabels(folder, tuple(photos)))
    return folder / "labels.json"


@pytest.fixture(scope="module")
def fits(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("fits") / "fits"
    rule = FitRule(residual=0.06, worst=0.3, bent=0.6, score=0.3)
    return out, fit_photographs(out, FitConfig(photographs, rule=rule))


def test_fitted_hands_fall_on_their_labels(photographs, fits):
    out, counts = fits
    folder, units = ShardFolder.open(out), read_units(out)
    assert counts["kept"] == len(folder) > 2 and sum(counts.values()) == 10
    labels = json.loads(photographs.read_text())["photos"]
    kept = [unit for unit in units if unit["samples"]]
    for unit, sample in zip(kept, folder, strict=True):
        hand = sample.hands[0]
        entry = labels[int(unit["path"][0])]["hands"][0]
        longer = max(np.ptp(np.array(entry["keypoints_px"]), 0))
        away = np.linalg.norm(hand.keypoints_px - to_crop(np.array(entry["keypoints_px"]), entry, sample), axis=1)
        assert np.sqrt((away**2).mean()) / sample.camera.width * 2 < unit["residual"] + 0.02, longer
        assert hand.side == entry["side"] and hand.grasp == entry["held"] and unit["residual"] <= 0.06
        assert why_unusable(sample) == ("holds something unknown" if entry["held"] else None)


def to_crop(points, entry, sample):
    x0, y0, x1, y1 = entry["box_px"]
    middle, side = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), 2 * max(x1 - x0, y1 - y0)
    return (points - middle) * sample.camera.width / side + (sample.camera.width - 1) / 2


def test_a_strict_rule_keeps_fewer_and_says_why(photographs, fits, tmp_path):
    counts = fit_photographs(tmp_path / "fits", FitConfig(photographs, rule=FitRule(residual=0.002, worst=0.1)))
    assert counts.get("kept", 0) < fits[1]["kept"] and counts["joints differ"] > 0
    with pytest.raises(InvalidInput, match="rule is"):
        fit_photographs(tmp_path / "fits", FitConfig(photographs))


def test_views_and_bare_hands_come_from_real_ones(fits, tmp_path):
    real = read_real([fits[0]])
    assert len(real) == fits[1]["kept"] and not real.bare.all() and set(real.object_ids) == {""}
    config = CreateConfig(seed=2, objects=("apple",), real=(fits[0],), real_share=0.6, turn_deg=0)
    create_conditions(tmp_path / "conditions", config, 6)
    units = read_units(tmp_path / "conditions")
    assert {unit["pose"] for unit in units} == {"real", "synthetic"}
    for unit, sample in zip(units, open_crops(tmp_path / "conditions"), strict=True):
        hand = sample.hands[0]
        mirrored = MIRROR @ real.rotations[:, 0] @ MIRROR
        views = np.where(real.right[:, None, None], real.rotations[:, 0], mirrored)
        assert np.abs(views - hand.rotations[0]).max((1, 2)).min() < 1e-5
        assert bool(hand.grasp) == (unit["pose"] == "synthetic")


def test_things_and_skins_that_are_held_out_do_not_appear(renderer):
    held_out, training = (Creator(CreateConfig(asset_split=split)) for split in ("held-out", "training"))
    assert set(held_out.object_ids) == set(HELD_OUT_OBJECTS) and not set(training.object_ids) & set(HELD_OUT_OBJECTS)
    assert held_out.condition(0).told["object"] in HELD_OUT_OBJECTS
    with pytest.raises(InvalidInput, match="--asset-split"):
        Creator(CreateConfig(objects=("mug",), asset_split="held-out"))


def test_a_photograph_that_is_missing_is_named_and_nothing_is_lost(photographs, tmp_path, capsys):
    folder = tmp_path / "photographs"
    shutil.copytree(photographs.parent, folder)
    taken = (folder / "9.png").read_bytes()
    (folder / "9.png").unlink()
    command = ["boost", "fit", str(folder / "labels.json"), "--out", str(tmp_path / "fits"), "--sheet", "1"]
    assert main(command) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "9.png" in line and "what is complete is kept" in line
    (folder / "9.png").write_bytes(taken)
    assert main(command) == 0
    counts = json.loads(capsys.readouterr().out)
    assert sum(counts.values()) == 10 and (tmp_path / "fits" / "sheet.png").exists() == ("kept" in counts)


def test_bad_input_is_named(conditions, fits, tmp_path, capsys):
    sample = open_crops(conditions).sample(0, "none")
    other = replace(sample, hands=(replace(sample.hands[0], vertices_m=sample.hands[0].vertices_m[:-1]),))
    with pytest.raises(AssetError, match="another hand model"):
        draw_condition(other, 64)
    with pytest.raises(AssetError, match="'unicorn' is not in the catalogue"):
        solid_of(replace(sample.objects[0], object_id="unicorn"))
    for arguments, word in (
        (["create", "--out", str(tmp_path / "a"), "--count", "1", "--object", "unicorn"], "prehend-train grasps"),
        (["create", "--out", str(tmp_path / "a"), "--count", "1", "--real", str(tmp_path)], "index.json"),
        (["create", "--out", str(tmp_path / "a"), "--count", "0"], "must be positive"),
        (["create", "--out", str(tmp_path / "a"), "--count", "1", "--address", "x"], "--engine ray"),
        (["fit", str(tmp_path / "none.json"), "--out", str(tmp_path / "b")], "prehend-train label"),
    ):
        assert main(["boost", *arguments]) == 1
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert word in told and "Traceback" not in told
