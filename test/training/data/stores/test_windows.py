from dataclasses import replace

import numpy as np
import pytest
from fake import open_still, write_fake

from prehend.errors import AssetError
from prehend.geometry.rotations import geodesic_angle
from prehend_training.data.augment_presets import STRONG_CROPS, UPRIGHT_VIEW
from prehend_training.data.stores.open import DatasetChoice, Mixture
from prehend_training.data.stores.windows import (
    WindowBatches,
    WindowDataConfig,
    exact_windows,
    open_windows,
    rows_before,
)
from prehend_training.data.views import mirror_left
from prehend_training.datasets import open_dataset
from prehend_training.sample import Film

pytest_plugins = ("dataset_fixtures",)

STRONG = WindowDataConfig(size_px=64, view=UPRIGHT_VIEW, photometric=STRONG_CROPS.photometric)
EXACT = exact_windows(STRONG)
FRAMES = STRONG.frames


def batches(source, config=STRONG, seed=1, size=4):
    return WindowBatches(open_windows(source, config.size_px), config, seed, size)


def film(*times_s):
    return Film(tuple(range(100, 100 + len(times_s))), np.array(times_s, float))


@pytest.mark.parametrize(
    ("at", "offsets", "expected"),
    [
        (12, (1 / 6, 1 / 3), [7, 2]),
        (5, (1 / 6, 1 / 3), [0, None]),  # the film begins there
        (0, (1 / 6, 1 / 3), [None, None]),
        (12, (0.14, 0.32), [8, 2]),  # the nearest
    ],
)
def test_frames_before_are_found_by_time(at, offsets, expected):
    assert rows_before(film(*np.arange(20) / 30), at, offsets) == expected


def test_a_slow_camera_gives_no_frame_twice():
    """At 5 Hz a sixth of a second before is the last frame, and a third the one before that."""
    assert rows_before(film(*np.arange(6) / 5), 4, (1 / 6, 1 / 3)) == [3, 2]
    assert rows_before(film(*np.arange(6) / 2), 4, (1 / 6, 1 / 3)) == [None, None]


def test_a_gap_is_no_frame():
    times = np.r_[np.arange(5) / 30, 1 + np.arange(10) / 30]
    assert rows_before(film(*times), 6, (1 / 6, 1 / 3)) == [None, None]
    assert rows_before(film(*times), 12, (1 / 6, 1 / 3)) == [7, None]


def test_a_batch_depends_on_seed_and_step_alone(films):
    first, again = batches([films]).batch(5), batches([films]).batch(5)
    for name, value in first.items():
        assert len(value) == 4 * FRAMES
        np.testing.assert_array_equal(value, again[name], err_msg=name)
    assert not np.array_equal(first["image"], batches([films]).batch(6)["image"])
    assert not np.array_equal(first["image"], batches([films], seed=2).batch(5)["image"])


def test_parts_of_a_batch_make_the_whole(films):
    source = batches([films])
    whole, parts = source.batch(3), [source.batch(3, (k, 2)) for k in range(2)]
    for name, value in whole.items():
        np.testing.assert_array_equal(value, np.concatenate([part[name] for part in parts]), err_msg=name)


def test_every_window_is_drawn_once_an_epoch(films):
    dataset = open_windows([films], 64)
    count = len(dataset)
    drawn = [index for step in range(count // 4) for index in dataset.indices(0, step, 4)]
    assert count == 2 * 16 + 2 * 20 and sorted(drawn) == list(range(count))


def test_windows_stay_in_their_film_and_in_time(films):
    dataset = open_windows([films], 64)
    for index in (0, 15, 16, 35, 36, len(dataset) - 1):
        place = dataset[index]
        picture = dataset.source.sample(dataset.films[place.film].rows[place.at])
        before = rows_before(dataset.films[place.film], place.at, (1 / 6, 1 / 3))
        for k, at in enumerate(before, start=1):
            assert (at is None) == (picture.frame_id.frame < 5 * k)
            if at is not None:
                older = dataset.source.sample(dataset.films[place.film].rows[at])
                assert older.frame_id.sequence == picture.frame_id.sequence
                assert older.frame_id.frame == picture.frame_id.frame - 5 * k


def test_the_start_of_a_film_is_told(films):
    source = batches([films], EXACT)
    start = source.sample(1, np.random.default_rng(0))
    assert start["known"].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(start["image"][0], start["image"][2])
    assert source.sample(7, np.random.default_rng(0))["known"].tolist() == [1, 1, 0]
    assert source.sample(12, np.random.default_rng(0))["known"].tolist() == [1, 1, 1]


def test_some_windows_are_cut_short(films):
    config = replace(STRONG, cut_p=1.0)
    known = [batches([films], config).sample(14, np.random.default_rng(k))["known"].tolist() for k in range(20)]
    assert {tuple(one) for one in known} == {(1, 0, 0), (1, 1, 0)}


def test_all_frames_of_a_window_are_changed_alike(tmp_path):
    """Of a film in which nothing moves all frames are the same, whatever is done to them; and much is."""
    write_fake(tmp_path / "still", "sequences", 2, make=open_still)
    source, plain = (batches([tmp_path / "still"], config) for config in (replace(STRONG, cut_p=0.0), EXACT))
    changed = []
    for index in (12, 13, 26, 27):
        sample = source.sample(index, np.random.default_rng(index))
        assert sample["known"].all()
        for name in set(sample) - {"part_seen", "part_shown"}:  # the film hides a finger by turns
            np.testing.assert_array_equal(sample[name], sample[name][:1].repeat(FRAMES, 0), err_msg=name)
        changed.append(np.abs(sample["image"] - plain.sample(index, np.random.default_rng(0))["image"]).mean())
    assert min(changed) > 1


def test_left_hands_come_as_right_ones(films):
    """Units are left and right by turns; each is shown as its mirror image in all frames or in none."""
    source = batches([films], EXACT)
    for index in (15, 30):
        sample = source.sample(index, np.random.default_rng(0))
        assert sample["right"].all() and sample["known"].all()
        place = source.dataset[index]
        (record, *_) = source.dataset.records(place, (1 / 6, 1 / 3))
        mirrored = mirror_left(record)
        wanted = mirrored["joints_m"][0] - mirrored["joints_m"][0, 0]
        lengths = np.linalg.norm(wanted, axis=-1), np.linalg.norm(sample["joints"][0], axis=-1)
        np.testing.assert_allclose(*lengths, atol=1e-4)
    assert {source.dataset.source.sample(source.dataset.films[k].rows[0]).hands[0].side for k in (0, 1)} == {
        "left",
        "right",
    }


def test_turns_take_one_crop_to_the_other(films):
    """The hand of this film keeps its rotation before a camera that stands still."""
    for index in (15, 30):
        sample = batches([films]).sample(index, np.random.default_rng(5))
        turned = sample["turn"] @ sample["rotations"][:, 0]
        np.testing.assert_allclose(sample["turn"][0], np.eye(3), atol=1e-6)
        assert geodesic_angle(turned, turned[:1].repeat(FRAMES, 0)).max() < 1e-3


def test_hidden_parts_are_told(films):
    sample = batches([films], EXACT).sample(12, np.random.default_rng(0))
    assert sample["has_parts"].all()
    np.testing.assert_array_equal(sample["part_seen"][:, 1], np.zeros(FRAMES))
    np.testing.assert_array_equal(np.delete(sample["part_seen"], 1, 1), 1)


def test_films_of_datasets_are_those_of_each_camera(dexycb, ho3d):
    name, root, _ = ho3d
    for data in (open_dataset("dexycb", dexycb[0], "all"), open_dataset(name, root, "train")):
        films = data.films()
        assert sorted(row for film in films for row in film.rows) == list(range(len(data)))
        for one in films:
            ids = [data[row].frame_id for row in one.rows]
            assert len({(i.sequence, i.view) for i in ids}) == 1
            frames = np.array([i.frame for i in ids])
            assert (np.diff(frames) > 0).all()
            np.testing.assert_allclose(one.times_s - one.times_s[0], (frames - frames[0]) / 30)


def test_datasets_and_mixtures_give_windows(small_dexycb, films):
    data = Mixture((([films], 1.0), (DatasetChoice("dexycb", small_dexycb, "all"), 1.0)))
    batch = batches(data, size=6).batch(0)
    assert batch["image"].shape == (6 * FRAMES, 64, 64, 3)
    assert set(batch["has_parts"]) == {0.0, 1.0}  # without MANO nobody knows what hides a finger


def test_what_has_no_films_is_refused(crops, freihand):
    with pytest.raises(AssetError, match="sequences"):
        open_windows([crops], 64)
    with pytest.raises(AssetError, match="DexYCB"):
        open_windows(DatasetChoice("freihand", freihand[0], "training"), 64)
