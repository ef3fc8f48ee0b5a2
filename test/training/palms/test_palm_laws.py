"""Laws of palms: what turns with the picture, what palms' sizes play no part in, and what means of weights are."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake import fake_sample
from safetensors.torch import load_file, save_file

from prehend.errors import AssetError, InvalidInput, SourceError
from prehend.models.detectors.palm import Palms
from prehend.pipeline.detection.palms import ANCHOR_CELLS, anchors_px, region_of_palm
from prehend.pipeline.networks.fresh import FreshRule
from prehend.types import Box, Region
from prehend_training.data.records import record_of
from prehend_training.palms.batches import area_of, frame_palms, photo_palm
from prehend_training.palms.blend import blend_palms
from prehend_training.palms.labels import PalmHand, PalmLabels, PalmPhoto, read_palm_labels, write_palm_labels
from prehend_training.palms.losses import PalmLossWeights, palm_terms, score_loss
from prehend_training.palms.measure import note_measured
from prehend_training.palms.pseudo import _mean, _mirror
from prehend_training.palms.targets import PalmTarget, palm_targets
from prehend_training.palms.unsure import STEPS, Tried, choose_sure, note_sure
from prehend_training.pretrained.files import PROVENANCE
from prehend_training.storage.blends import SHARE

SHAPE = np.array([[0, 0.5], [-0.3, -0.45], [-0.05, -0.5], [0.2, -0.45], [0.4, -0.3], [-0.35, 0.25], [-0.5, 0]])
SIZE = 192


def palm(x=90.0, y=100.0, length=40.0, **known):
    return PalmTarget(SHAPE * length + (x, y), **known)


def tensors(arrays):
    return {name: torch.from_numpy(np.asarray(array))[None] for name, array in arrays.items()}


def test_targets_move_with_a_palm_by_whole_cells():
    cell = max(size for size, _ in ANCHOR_CELLS)
    one, other = (palm_targets([palm(80 + move, 96, side="left", held=True)], [], SIZE) for move in (0, cell))
    anchors = anchors_px(SIZE)
    place = {}
    slot = np.zeros(len(anchors), int)
    for row, (x, y) in enumerate(anchors):  # several answers share an anchor
        slot[row] = place.setdefault((x, y), -1) + 1
        place[x, y] = slot[row]
    rows = {(x, y, k): row for row, ((x, y), k) in enumerate(zip(anchors, slot, strict=True))}
    asked = np.flatnonzero(one["score"] > 0)
    assert len(asked) > 3 and (other["score"] > 0).sum() == len(asked)
    moved = [rows[anchors[row, 0] + cell, anchors[row, 1], slot[row]] for row in asked]
    for name in one:
        np.testing.assert_allclose(other[name][moved], one[name][asked], atol=1e-4, err_msg=name)


def test_the_order_of_palms_that_are_apart_does_not_matter():
    palms = [
        palm(40, 40, 30, side="left"),
        palm(140, 50, 50, held=False),
        palm(90, 150, 25, region=Region((90.0, 140.0), 40.0, 60.0)),
    ]
    one, other = palm_targets(palms, [], SIZE), palm_targets(palms[::-1], [], SIZE)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_palm_that_does_not_count_is_as_one_in_an_ignored_box():
    wanted = palm(50, 50, 30)
    beside = palm(150, 150, 30, counts=False)
    with_it, without = palm_targets([wanted, beside], [], SIZE), palm_targets([wanted], [], SIZE)
    assert np.array_equal(with_it["score"], without["score"]) and np.array_equal(with_it["numbers"], without["numbers"])
    left_out = with_it["score_weight"] < without["score_weight"]
    near = np.abs(anchors_px(SIZE)[left_out] - 150).max(1)
    assert left_out.any() and near.max() < 3 * 30


def said_of(arrays, rng, noise):
    numbers = arrays["numbers"] + noise * rng.normal(size=arrays["numbers"].shape).astype(np.float32)
    return Palms(
        torch.from_numpy(rng.normal(size=(1, len(numbers), 1)).astype(np.float32)), torch.from_numpy(numbers)[None]
    )


def test_errors_of_places_count_in_palms():
    """A palm twice as large that is off twice as far costs the same."""
    arrays = palm_targets([palm(length=40.0)], [], SIZE)
    target = tensors(arrays)
    off = torch.zeros_like(target["numbers"])
    off[..., :18] = 3.0
    twice = target | {"palm_side": 2 * target["palm_side"]}
    scores = torch.zeros(1, arrays["numbers"].shape[0], 1)
    one = palm_terms(Palms(scores, target["numbers"] + off), target)
    other = palm_terms(Palms(scores, target["numbers"] + 2 * off), twice)
    for name in ("box", "points"):
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-5) == pytest.approx(3 / 40, rel=1e-4)


@pytest.mark.parametrize("name", ["palm", "region", "side", "held", "object"])
def test_what_is_not_known_has_no_part_in_the_loss(name):
    known = {
        "region": Region((90.0, 80.0), 50.0, 70.0),
        "side": "left",
        "held": False,
        "object_box_px": Box(60, 60, 120, 130),
    }
    target = tensors(palm_targets([palm(**known)], [], SIZE))
    target[f"{name}_weight"] = torch.zeros_like(target[f"{name}_weight"])
    terms = palm_terms(said_of(palm_targets([], [], SIZE), np.random.default_rng(0), 5.0), target)
    parts = {"palm": ("box", "points"), "object": ("thing",)}.get(name, (name,))
    assert set(terms) == set(PalmLossWeights.__dataclass_fields__)
    assert {key for key, value in terms.items() if float(value) == 0} == set(parts)


def test_a_score_costs_nothing_where_it_is_right_and_most_where_it_is_surely_wrong():
    wanted, weight = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2)
    losses = [
        float(score_loss(torch.tensor([logits]), wanted, weight))
        for logits in ([20.0, -20.0], [0.0, 0.0], [-20.0, 20.0])
    ]
    assert losses[0] == pytest.approx(0, abs=1e-6) and losses[0] < losses[1] < losses[2]
    assert losses[1] == pytest.approx(2 * np.log(2) * 0.25 / 8, rel=1e-5)  # beta 2, of 8 palms at least
    nothing = score_loss(torch.tensor([[5.0, 5.0]]), wanted, torch.zeros(1, 2))
    assert float(nothing) == 0


def turn_about(degrees, middle=(80.0, 80.0), scale=1.0, mirrored=False):
    radians = np.radians(degrees)
    matrix = scale * np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    if mirrored:
        matrix = matrix @ np.diag([-1.0, 1])
    return np.column_stack([matrix, np.array(middle) - matrix @ np.array(middle)])


@pytest.fixture(scope="module")
def records():
    samples = (fake_sample(3, k, "frames", 160) for k in range(30))
    return [record_of(sample, 2) for sample in samples if sample.hands]


@pytest.mark.parametrize("degrees", [90, 180, -90, 30])
def test_palms_of_a_frame_turn_with_it(records, degrees):
    window = (-400, -400, 600, 600)
    seen = 0
    for record in records[:8]:
        plain, turned = (frame_palms(record, turn_about(angle), window, False) for angle in (0, degrees))
        assert len(plain) == len(turned) == int(record["hand_count"])
        for one, other in zip(plain, turned, strict=True):
            affine = turn_about(degrees)
            np.testing.assert_allclose(other.points_px, one.points_px @ affine[:, :2].T + affine[:, 2], atol=1e-6)
            turn = np.degrees(other.region.turn_rad - one.region.turn_rad)
            assert (turn - degrees + 180) % 360 - 180 == pytest.approx(0, abs=1e-4)
            assert (other.region.width, other.region.height) == pytest.approx(
                (one.region.width, one.region.height), rel=1e-5
            )
            assert (other.side, other.held) == (one.side, one.held)
            seen += 1
    assert seen > 4


def test_a_mirrored_frame_has_hands_of_the_other_side(records):
    window = (-400, -400, 600, 600)
    for record in records[:6]:
        plain = frame_palms(record, np.eye(2, 3), window, False)
        mirrored = frame_palms(record, turn_about(0, mirrored=True), window, True)
        for one, other in zip(plain, mirrored, strict=True):
            assert {one.side, other.side} == {"left", "right"} and one.counts == other.counts
            assert other.region.turn_rad == pytest.approx(-one.region.turn_rad, abs=1e-6)


def photo_hand(**changes):
    points = SHAPE * 60 + (200, 150)
    region = region_of_palm(np.array([200.0, 150.0]), 60.0, points)
    return replace(PalmHand(points, region, "left", True), **changes)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (90, 1.0), (40, 0.5), (-120, 1.5)])
def test_a_labelled_hand_turns_and_grows_with_the_picture(degrees, scale):
    hand, affine = photo_hand(), turn_about(degrees, (200.0, 150.0), scale)
    seen = photo_palm(hand, affine, (-500, -500, 900, 900), False)
    assert seen.side_px > 0 and seen.side == "left" and seen.held is True
    assert seen.region.width == pytest.approx(scale * hand.region.width)
    assert (np.degrees(seen.region.turn_rad - hand.region.turn_rad) - degrees + 180) % 360 - 180 == pytest.approx(
        0, abs=1e-4
    )
    middle = affine[:, :2] @ np.array(hand.region.center_px) + affine[:, 2]
    np.testing.assert_allclose(seen.region.center_px, middle, atol=1e-6)
    assert area_of(hand).iou(area_of(replace(hand, region=None))) > 0.3


def test_the_mirror_image_of_a_mirror_image_is_the_palm():
    from prehend.pipeline.detection.palms import Palm as Found

    one = Found(0.7, np.array([50.0, 60.0]), 30.0, SHAPE * 30 + (50, 60), np.arange(10.0))
    back = _mirror(_mirror(one, 120), 120)
    np.testing.assert_allclose(back.points_px, one.points_px)
    np.testing.assert_allclose(_mirror(one, 120).center_px, [69, 60])
    same = _mean(one, one)
    np.testing.assert_allclose(same.points_px, one.points_px)
    lower = one._replace(score=0.4, side_px=40.0)
    assert (_mean(one, lower).score, _mean(lower, one).side_px) == (0.4, 35.0)


@pytest.fixture
def written(tmp_path):
    photo = PalmPhoto(
        "a.jpg",
        (400, 300),
        "train",
        (photo_hand(), photo_hand(region=None, side=None, held=None)),
        (Box(0.0, 0, 9, 9),),
    )
    write_palm_labels(tmp_path / "labels.json", PalmLabels(tmp_path, (photo,)))
    return tmp_path / "labels.json", photo


def test_what_is_not_known_comes_back_as_not_known(written):
    path, photo = written
    (read,) = read_palm_labels(path).photos
    assert [(hand.region is None, hand.side, hand.held) for hand in read.hands] == [
        (False, "left", True),
        (True, None, None),
    ]
    assert (read.path, read.size, read.split, read.ignore) == (photo.path, photo.size, photo.split, photo.ignore)


def in_hand(content, **change):
    content["photos"][0]["hands"][0] |= change


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.update(folder=None),
        lambda c: c.update(photos=None),
        lambda c: c.update(photos=[3]),
        lambda c: c["photos"][0].pop("hands"),
        lambda c: c["photos"][0].update(size=[1]),
        lambda c: c["photos"][0].update(ignore=[[1, 2, 3]]),
        lambda c: in_hand(c, side="up"),
        lambda c: in_hand(c, held="yes"),
        lambda c: in_hand(c, region=[1, 2, 3, 4]),
        lambda c: in_hand(c, points=[[1, 2]] * 6),
        lambda c: in_hand(c, score=None),
    ],
)
def test_garbled_labels_are_one_line_that_names_the_file(written, damage):
    path = written[0]
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"labels\.json") as caught:
        read_palm_labels(path)
    assert "\n" not in str(caught.value)


ORIGIN = dict.fromkeys(PROVENANCE, "x")


@pytest.fixture
def run(tmp_path):
    """A run and the file that it started from."""
    torch.manual_seed(0)
    published = {"stem.weight": torch.randn(8, 8), "answers.further.weight": torch.randn(8, 8)}
    learnt = {f"network.{name}": torch.randn(8, 8) for name in published}
    folder = tmp_path / "run"
    (folder / "checkpoint").mkdir(parents=True)
    save_file(learnt, folder / "checkpoint" / "averaged.safetensors")
    (folder / "checkpoint" / "progress.json").write_text("{}")
    (folder / "run.json").write_text(json.dumps({"origin": ORIGIN, "preset": "palm"}))
    save_file(published, tmp_path / "start.safetensors", ORIGIN)
    return folder, tmp_path / "start.safetensors", learnt, published


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_blend_lies_on_the_line_between_and_at_one_it_is_the_run(run, tmp_path, share):
    folder, start, learnt, published = run
    blend_palms(folder, start, share, tmp_path / "out")
    mixed = load_file(tmp_path / "out" / "checkpoint" / "averaged.safetensors")
    plain = learnt["network.stem.weight"]
    torch.testing.assert_close(mixed["network.stem.weight"], share * plain + (1 - share) * published["stem.weight"])
    assert torch.equal(mixed["network.answers.further.weight"], learnt["network.answers.further.weight"])
    assert json.loads((tmp_path / "out" / "run.json").read_text())["origin"] == {**ORIGIN, SHARE: share}
    if share == 1:
        assert torch.equal(mixed["network.stem.weight"], plain)
    blend_palms(tmp_path / "out", start, 0.5, tmp_path / "again")  # a blend may be blended again
    twice = load_file(tmp_path / "again" / "checkpoint" / "averaged.safetensors")["network.stem.weight"]
    torch.testing.assert_close(twice, (mixed["network.stem.weight"] + published["stem.weight"]) / 2)


def test_a_blend_that_cannot_be_is_refused_and_leaves_nothing(run, tmp_path):
    folder, start, _, published = run
    for share in (0.0, -0.5, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="not between 0 and 1"):
            blend_palms(folder, start, share, tmp_path / "out")
    save_file(published, tmp_path / "other.safetensors", ORIGIN | {"sha256": "y"})
    with pytest.raises(AssetError, match="did not start from"):
        blend_palms(folder, tmp_path / "other.safetensors", 0.5, tmp_path / "out")
    with pytest.raises(AssetError, match="train it first"):
        blend_palms(tmp_path, start, 0.5, tmp_path / "out")
    (folder / "run.json").write_text("[]")
    with pytest.raises(AssetError, match="did not start from"):
        blend_palms(folder, start, 0.5, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", range(4))
def test_how_sure_the_network_has_to_be_keeps_its_promise(seed):
    rng = np.random.default_rng(seed)
    tried = [Tried("a", float(0.75 + 0.25 * rng.random()), bool(rng.random() < 0.6)) for _ in range(200)]
    for false in (0.0, 0.05, 0.2):
        told = choose_sure(100, tried, false)
        wrong = [sum(not one.is_hand and one.presence >= step for one in tried) for step in STEPS]
        fitting = [step for step, count in zip(STEPS, wrong, strict=True) if count <= false * 100]
        assert told["sure"] == (min(fitting) if fitting else STEPS[-1])
        assert [counts["false"] for counts in told["steps"].values()] == wrong


def test_numbers_are_noted_in_a_run_or_in_weights(tmp_path):
    run, weights, nothing = (tmp_path / name for name in ("run", "weights", "nothing"))
    for folder in (run, weights, nothing):
        folder.mkdir()
    (run / "run.json").write_text("{}")
    (run / "calibration.json").write_text('{"presence": {"scale": 1.5}}')
    (weights / "manifest.json").write_text('{"name": "x", "calibration": {"presence": {"scale": 2.0}}}')
    report = {"thresholds": {"detect": 0.4}, "photographs": {"detect": {}}}
    fresh = {"detector": 1.0, "presence": 0.5, "larger": 0.25, "offset": -1.0}
    for folder in (run, weights):
        note_sure(folder, 0.97, FreshRule(1.0, 0.5, 0.25, -1.0))
        note_measured(folder, report)
    assert json.loads((run / "calibration.json").read_text()) == {
        "presence": {"scale": 1.5, "sure": 0.97}, "fresh": fresh
    }  # fmt: skip
    assert json.loads((run / "measured.json").read_text()) == report
    assert json.loads((weights / "manifest.json").read_text()) == {
        "name": "x", "calibration": {"presence": {"scale": 2.0, "sure": 0.97}, "fresh": fresh},
        "thresholds": {"detect": 0.4},
        "measured": {"photographs": {"detect": {}}},
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="leave out --write"):
        note_measured(nothing, report)
    note_sure(run, 0.9)
    assert json.loads((run / "calibration.json").read_text()) == {"presence": {"scale": 1.5, "sure": 0.9}}
    with pytest.raises(InvalidInput, match="calibrate first"):
        note_sure(nothing, 0.97)
