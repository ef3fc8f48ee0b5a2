"""What the verbs have in common: devices, numbers, seeds, old names, engines."""

import argparse

import pytest

from prehend.errors import InvalidInput, UnknownName
from prehend_training.cli import main as cli
from prehend_training.cli.parsing.options import (
    OneLineParser,
    add_device,
    add_engine,
    add_seed,
    engine_of,
    keep_old_option,
    named_preset,
    number_from,
    torch_device,
)
from prehend_training.engine import EngineOptions


def parsed(add, *options):
    parser = OneLineParser(prog="some")
    add(parser)
    return parser.parse_args(list(options))


def refused(add, *options, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(add, *options)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and said.endswith("(see some --help)\n")
    return said


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "meta"])
def test_devices_that_torch_knows_pass_as_they_are(device):
    assert parsed(add_device, "--device", device).device == device == torch_device(device)
    assert parsed(add_device).device == "cpu"


@pytest.mark.parametrize("device", ["abacus", "cuda:one", ""])
def test_a_device_that_nobody_knows_is_wrong_use(device, capsys):
    assert "cpu, cuda or cuda:1" in refused(add_device, "--device", device, capsys=capsys)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("1e3", 1000.0), (" 2.5", 2.5)])
def test_numbers_begin_at_their_least(text, value):
    assert number_from(0)(text) == value


@pytest.mark.parametrize("text", ["-0.001", "nan", "inf", "-inf"])
def test_numbers_that_are_none_or_too_small_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"is no number from 0\.5 on"):
        number_from(0.5)(text)


def test_a_seed_is_that_of_its_verb_unless_it_is_given(capsys):
    def none(parser):
        return add_seed(parser, "of something", None)

    def nought(parser):
        return add_seed(parser, "of something")

    assert (parsed(none).seed, parsed(nought).seed, parsed(none, "--seed", "7").seed) == (None, 0, 7)
    assert "-1 is below 0" in refused(nought, "--seed", "-1", capsys=capsys)


def engine(*options, processes=3):
    return engine_of(parsed(lambda parser: add_engine(parser, processes), *options))


def test_without_options_the_work_is_done_here_by_as_many_as_the_verb_wants():
    assert engine() == EngineOptions("local", 3) and engine(processes=0) == EngineOptions("local", 0)
    assert engine("--workers", "0") == EngineOptions("local", 0)


def test_a_cluster_has_an_actor_a_cpu_unless_it_is_told():
    assert engine("--engine", "ray") == EngineOptions("ray", 0)
    found = engine("--engine", "ray", "--workers", "5", "--address", "auto", "--gpus-per-worker", "0.25")
    assert found == EngineOptions("ray", 5, "auto", 0.25)


@pytest.mark.parametrize("options", [("--address", "auto"), ("--gpus-per-worker", "0.5")])
def test_options_of_a_cluster_without_one_say_what_they_go_with(options):
    with pytest.raises(InvalidInput, match="--engine ray"):
        engine(*options)


def renamed(parser):
    parser.add_argument("--new-name", type=int, default=4, help="a number")
    keep_old_option(parser, "--old", "--new-name", type=int)


def test_an_option_under_its_old_name_does_what_it_did_and_says_the_new_one(caplog):
    assert parsed(renamed).new_name == 4 and not caplog.text
    assert parsed(renamed, "--old", "6").new_name == 6
    assert "--old is called --new-name now; the old name goes with the next version" in caplog.text
    assert parsed(renamed, "--old", "6", "--new-name", "7").new_name == 7  # the last one counts, as ever


def test_an_old_name_is_not_in_the_help_and_has_the_type_of_the_new(capsys):
    with pytest.raises(SystemExit):
        parsed(renamed, "--help")
    assert "--old" not in capsys.readouterr().out
    assert "many" in refused(renamed, "--old", "many", capsys=capsys)


def test_presets_of_old_names_are_those_of_today(caplog):
    assert named_preset("debug-finder").name == "debug-detector" and "debug-detector" in caplog.text
    caplog.clear()
    assert named_preset("debug-detector").name == "debug-detector" and not caplog.text
    with pytest.raises(UnknownName, match="debug-unihope"):
        named_preset("debug-unihop")


def options_of(parser, path=()):
    """(words of the verb, option) of the whole command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield from options_of(one, (*path, name))
        elif action.option_strings:
            yield " ".join(path), action


@pytest.mark.parametrize("name", ["--seed", "--call-minutes", "--gpus-per-worker", "--mano", "--threads", "--address"])
def test_an_option_of_one_name_takes_the_same_in_every_verb(name):
    found = {}
    for words, action in options_of(cli._parser()):
        if name in action.option_strings:
            found.setdefault(getattr(action.type, "__qualname__", str(action.type)), []).append(words)
    assert len(found) == 1 and sum(map(len, found.values())) > 1, found
