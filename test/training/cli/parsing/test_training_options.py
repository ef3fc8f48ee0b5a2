"""Budgets, machines and tables as options; what is known of photographs."""

import argparse
import json
import math
import time
from pathlib import Path

import pytest

from prehend.errors import InvalidInput, SourceError
from prehend.types import Box
from prehend_training.cli.parsing.annotation import add_known, add_pose_source, known_boxes
from prehend_training.cli.parsing.options import OneLineParser
from prehend_training.cli.parsing.training import (
    add_budget,
    add_machine,
    add_start,
    add_table,
    extent_of,
    machine_of,
    until_of,
)
from prehend_training.engine.scenes import SceneConfig


def parsed(add, *options):
    parser = OneLineParser(prog="some")
    add(parser)
    return parser.parse_args([str(option) for option in options])


@pytest.mark.parametrize("options", [(), ("--steps", "3", "--minutes", "2")])
def test_a_budget_is_minutes_or_steps_and_one_of_them(options, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(add_budget, *options)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "--minutes" in said and said.count("\n") == 1


def test_a_call_ends_when_it_was_told_to_and_never_otherwise():
    assert until_of(parsed(add_budget, "--steps", "1")) == math.inf
    before = time.monotonic()
    until = until_of(parsed(add_budget, "--steps", "1", "--call-minutes", "2"))
    assert before + 120 <= until <= time.monotonic() + 120
    assert until_of(parsed(add_budget, "--steps", "1", "--call-minutes", "0")) <= time.monotonic()


@pytest.mark.parametrize("minutes", ["-1", "nan", "inf", "many"])
def test_a_call_has_no_other_length(minutes, capsys):
    with pytest.raises(SystemExit):
        parsed(add_budget, "--steps", "1", "--call-minutes", minutes)
    assert "--call-minutes" in capsys.readouterr().err


def test_scenes_that_are_rendered_while_training_have_a_process_of_their_own():
    shards, online = [Path("a")], SceneConfig("crops", 1, 64)
    plain = parsed(add_machine)
    assert machine_of(plain, shards).workers == 0 and machine_of(plain, online).workers == 1
    told = parsed(add_machine, "--workers", "3", "--threads", "2", "--processes", "2", "--precision", "bf16")
    machine = machine_of(told, online)
    assert (machine.workers, machine.threads, machine.processes, machine.precision) == (3, 2, 2, "bf16")


def test_a_verb_without_teams_trains_in_one_process(capsys):
    assert machine_of(parsed(lambda parser: add_machine(parser, processes=False)), [Path("a")]).processes == 1
    with pytest.raises(SystemExit):
        parsed(lambda parser: add_machine(parser, processes=False), "--processes", "2")
    assert "--processes" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--processes", "0"), ("--threads", "-1"), ("--workers", "-2")])
def test_machines_that_there_are_not_are_refused_with_their_option(options):
    with pytest.raises(InvalidInput):
        machine_of(parsed(add_machine, *options), [Path("a")])


def test_a_table_has_seeds_from_nought_on_and_all_that_its_rows_start_from():
    given = ("--out", "x", "--held-out", "a", "--held-out", "b", "--steps", "5", "--start", "r", "--start", "s")
    extent = extent_of(parsed(lambda parser: add_table(parser, "crops"), *given, "--seeds", "2"))
    assert list(extent.seeds) == [0, 1] and extent.steps == 5
    assert extent.held_out == (Path("a"), Path("b")) and extent.start == (Path("r"), Path("s"))
    assert list(extent_of(parsed(lambda parser: add_table(parser, "crops"), *given)).seeds) == [0, 1, 2]


@pytest.mark.parametrize(
    "numbers", [("--steps", "0"), ("--steps", "3", "--seeds", "0"), ("--steps", "3", "--seeds", "-2")]
)
def test_a_table_of_nothing_is_refused(numbers):
    with pytest.raises(InvalidInput, match="one seed and one step"):
        extent_of(parsed(lambda parser: add_table(parser, "crops"), "--out", "x", "--held-out", "a", *numbers))


def test_runs_to_start_from_keep_their_order():
    assert parsed(lambda parser: add_start(parser, "it starts")).start == []
    assert parsed(lambda parser: add_start(parser, "it starts"), "--start", "b", "--start", "a").start == [
        Path("b"),
        Path("a"),
    ]


def boxes_of(folder, *options):
    arguments = parsed(lambda parser: add_known(parser, None), *options)
    arguments.folder = folder
    return known_boxes(arguments)


def test_boxes_lie_beside_the_photographs_or_are_named(tmp_path):
    folder, other = tmp_path / "photos", tmp_path / "other.json"
    folder.mkdir()
    assert boxes_of(folder) == {}
    (folder / "boxes.json").write_text(json.dumps({"a.png": [[1, 2, 30, 40]]}))
    other.write_text(json.dumps({"b.png": [[5, 6, 70, 80], [1, 1, 9, 9]]}))
    assert boxes_of(folder) == {"a.png": (Box(1, 2, 30, 40),)}
    assert boxes_of(folder, "--boxes", other) == {"b.png": (Box(5, 6, 70, 80), Box(1, 1, 9, 9))}


def test_boxes_that_are_named_and_not_there_are_no_boxes_of_nothing(tmp_path):
    with pytest.raises(SourceError, match=r"none\.json"):
        boxes_of(tmp_path, "--boxes", tmp_path / "none.json")


def test_sources_are_those_of_the_verb_unless_they_are_named():
    assert parsed(lambda parser: add_known(parser, "public")).sources == "public"
    assert parsed(lambda parser: add_known(parser, None), "--sources", "mine.yaml").sources == "mine.yaml"
    found = parsed(lambda parser: add_pose_source(parser, "hands"))
    assert (found.model, found.limit) == ("unihope-s", None)


def test_help_of_shared_options_names_what_the_verb_does():
    parser = argparse.ArgumentParser()
    add_start(parser, "all rows start")
    add_pose_source(parser, "photographs")
    text = " ".join(parser.format_help().split())
    assert "what all rows start from: a run, weights" in text and "photographs to take" in text
