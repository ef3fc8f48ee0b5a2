"""What the options of data name: sources, weights, splits."""

import argparse
from pathlib import Path

import pytest

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.data import add_data_options, chosen_data, photos, weighted
from prehend_training.data.stores.open import DatasetChoice, Mixture
from prehend_training.data.stores.photographs import PhotoChoice
from prehend_training.engine.scenes import SceneConfig
from prehend_training.train.presets import preset


def chosen(*options):
    parser = argparse.ArgumentParser()
    add_data_options(parser)
    return chosen_data(parser.parse_args([str(option) for option in options]), preset("debug-unihope"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data", ("data", None)),
        ("data=0.3", ("data", 0.3)),
        ("data=1e-3", ("data", 0.001)),
        ("a=b/data", ("a=b/data", None)),  # a folder may have the sign in its name
        ("a=b=2", ("a=b", 2.0)),
        ("data=", ("data=", None)),
        ("photos:l.json:train=0.5", ("photos:l.json:train", 0.5)),
    ],
)
def test_a_weight_is_the_number_after_the_last_sign(text, expected):
    assert weighted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos:l.json", PhotoChoice(Path("l.json"), "train")),
        ("photos:l.json:validation", PhotoChoice(Path("l.json"), "validation")),
        ("photos:a/b:c.json", PhotoChoice(Path("a/b:c.json"), "train")),
        ("photos:a/b:c.json:train", PhotoChoice(Path("a/b:c.json"), "train")),
    ],
)
def test_photographs_have_a_split_that_is_known(text, expected):
    assert photos(text) == expected


def test_one_folder_is_no_mixture():
    assert chosen("--data", "a") == [Path("a")]
    assert chosen("--data", "a=0.5") == [Path("a")]


def test_folders_without_a_weight_are_one_source():
    found = chosen("--data", "a", "--data", "b=0.5", "--data", "c")
    assert found == Mixture((([Path("a"), Path("c")], 1.0), ([Path("b")], 0.5)))


def test_every_kind_of_source_has_its_weight():
    found = chosen(
        "--data", "a=2", "--data", "photos:l.json=3", "--dataset", "dexycb:/root:s0_train=4", "--mano", "m",
        "--online", "0.25",
    )  # fmt: skip
    assert isinstance(found, Mixture)
    kinds = [type(source) if not isinstance(source, list) else list for source, _ in found.parts]
    assert kinds == [list, PhotoChoice, DatasetChoice, SceneConfig]
    assert [weight for _, weight in found.parts] == [2, 3, 4, 0.25]
    assert found.parts[2][0] == DatasetChoice("dexycb", Path("/root"), "s0_train", Path("m"), None)


@pytest.mark.parametrize("text", ["a=0", "a=-1", "a=nan", "a=inf", "photos:l.json=0", "photos:l.json=-2"])
def test_a_weight_of_nothing_is_refused_alone_and_beside_others(text):
    for options in (["--data", text], ["--data", text, "--data", "b=1"]):
        with pytest.raises(InvalidInput, match="weights of sources"):
            chosen(*options)


def test_a_share_too_small_to_come_is_refused():
    with pytest.raises(InvalidInput, match="1000th"):
        chosen("--data", "a=1", "--data", "b=0.0001")


def test_scenes_alone_are_those_of_the_preset():
    assert chosen("--online") == SceneConfig("crops", preset("debug-unihope").seed, 160)


def test_a_cache_makes_even_one_source_a_mixture():
    assert chosen("--data", "a", "--cache", "2") == Mixture((([Path("a")], 1.0),), 2.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([], "--data"),
        (["--data", "a", "--mano", "m"], "--mano"),
        (["--data", "a", "--twins", "t"], "--twins"),
        (["--data", "a", "--photos", "p"], "--online"),
        (["--data", "photos:"], "LABELS.json"),
    ],
)
def test_options_that_do_not_go_together_name_what_is_missing(options, named):
    with pytest.raises(InvalidInput, match=named):
        chosen(*options)
