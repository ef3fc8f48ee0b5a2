"""Folders that are filled unit by unit: what was decided of a unit stands beside what came of it."""

import json
from functools import partial

import pytest
from fake import fake_sample

from prehend.errors import AssetError, InvalidInput
from prehend_training.boost.folders import UNITS, FolderPlan, Made, fill, read_units
from prehend_training.engine import EngineError
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import ShardFolder

PLAIN = Packing("none", "png")


def open_halves(asked=None, bad=None):
    """A maker that keeps every other unit, twice those that can be divided by four, and notes what it was asked for."""

    def make(units):
        for unit in units:
            if unit == bad:
                raise ValueError("no such unit")
            if asked is not None:
                asked.append(unit)
            count = 0 if unit % 2 else 2 if unit % 4 == 0 else 1
            yield Made(unit, [fake_sample(5, unit, size_px=48)] * count, {"why": "odd" if unit % 2 else "kept"})

    return make


def plan(out, count, shard_units=4, **changes):
    return FolderPlan(out, {"seed": 5, **changes}, count, shard_units, packing=PLAIN)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_every_unit_is_told_of_once_and_in_order(count, tmp_path):
    fill(plan(tmp_path, count), open_halves)
    units = read_units(tmp_path)
    assert [unit["unit"] for unit in units] == list(range(count))
    assert [unit["why"] for unit in units] == ["odd" if unit % 2 else "kept" for unit in range(count)]
    assert sum(unit["samples"] for unit in units) == len(ShardFolder.open(tmp_path, verify=True))


def test_what_is_complete_is_not_made_again(tmp_path):
    asked = []
    fill(plan(tmp_path, 8), partial(open_halves, asked))
    fill(plan(tmp_path, 8), partial(open_halves, asked))
    assert asked == list(range(8))
    fill(plan(tmp_path, 12), partial(open_halves, asked))
    assert asked == list(range(12))


def test_a_last_shard_that_was_not_full_is_filled_up(tmp_path):
    fill(plan(tmp_path, 6), open_halves)
    fill(plan(tmp_path, 8), open_halves)
    whole = tmp_path / "whole"
    fill(plan(whole, 8), open_halves)
    assert read_units(tmp_path) == read_units(whole)
    shards = [{name: note["sha256"] for name, note in notes.items()} for notes in map(shards_of, (tmp_path, whole))]
    assert shards[0] == shards[1]


def shards_of(folder):
    return json.loads((folder / "index.json").read_text())["shards"]


def test_fewer_units_than_before_are_told_of_alone(tmp_path):
    """The shards of the others may still lie there."""
    fill(plan(tmp_path, 12), open_halves)
    fill(plan(tmp_path, 4), open_halves)
    assert len(read_units(tmp_path)) == 4
    assert sum(unit["samples"] for unit in read_units(tmp_path)) == len(ShardFolder.open(tmp_path))


@pytest.mark.parametrize("lost", ["tar", "json", "units.jsonl"])
def test_a_shard_that_lost_a_file_is_made_again(lost, tmp_path):
    fill(plan(tmp_path, 8), open_halves)
    before, asked = read_units(tmp_path), []
    (tmp_path / f"shard-00001.{lost}").unlink()
    fill(plan(tmp_path, 8), partial(open_halves, asked))
    assert asked == [4, 5, 6, 7] and read_units(tmp_path) == before


def test_a_unit_that_fails_is_named_and_the_rest_is_kept(tmp_path):
    with pytest.raises(EngineError, match=r"crops 4 to 7.*no such unit"):
        fill(plan(tmp_path, 8), partial(open_halves, None, 6))
    assert not (tmp_path / "index.json").exists() and (tmp_path / "shard-00000.tar").exists()
    asked = []
    fill(plan(tmp_path, 8), partial(open_halves, asked))
    assert asked == [4, 5, 6, 7]


def test_another_configuration_is_refused(tmp_path):
    fill(plan(tmp_path, 4), open_halves)
    with pytest.raises(InvalidInput, match="seed"):
        fill(plan(tmp_path, 4, seed=6), open_halves)
    assert len(read_units(tmp_path)) == 4


@pytest.mark.parametrize(("count", "shard_units"), [(0, 4), (-1, 4), (4, 0)])
def test_no_units_are_refused_before_a_folder_is_made(count, shard_units, tmp_path):
    with pytest.raises(InvalidInput, match="positive"):
        fill(plan(tmp_path / "x", count, shard_units), open_halves)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("damage", ["{", "not json\n", '{"unit": 0'])
def test_damaged_notes_are_named(damage, tmp_path):
    fill(plan(tmp_path, 4), open_halves)
    (tmp_path / f"shard-00000{UNITS}").write_text(damage)
    with pytest.raises(AssetError, match="damaged"):
        read_units(tmp_path)


def test_a_folder_of_which_nothing_is_kept_is_a_folder_too(tmp_path):
    fill(plan(tmp_path, 1, 1), partial(open_odd))
    assert len(ShardFolder.open(tmp_path)) == 0 and read_units(tmp_path)[0]["samples"] == 0


def open_odd():
    return lambda units: (Made(unit, [], {"why": "odd"}) for unit in units)
