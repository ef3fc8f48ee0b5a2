"""Every verb explains itself, and answers wrong use in one line that says what to do."""

import argparse

import pytest

from prehend_training.cli import main as cli


def verbs_of(parser, path=()):
    """(words, parser) of every verb and step."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield (*path, name), one
                yield from verbs_of(one, (*path, name))


VERBS = dict(verbs_of(cli._parser()))
LEAVES = {words: parser for words, parser in VERBS.items() if not list(verbs_of(parser))}


def refused(arguments, capsys):
    """What a command that is refused says, and its exit code."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and said.err.startswith("prehend-train") and not said.out
    return said.err, code


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_has_a_help(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0 and shown.startswith(f"usage: prehend-train {' '.join(words)}")


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_argument_is_explained(words):
    for action in LEAVES[words]._actions:
        assert action.help and action.help.strip(), action.dest


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_an_unknown_option_is_wrong_use(words, capsys):
    error, code = refused([*words, "--no-such-option"], capsys)
    assert code == 2 and f"see prehend-train {words[0]}" in error


@pytest.mark.parametrize("verb", ["presets", "export {0} --out {0}", "objects list", "stats {0} --out {0}"])
def test_an_option_too_many_is_named_with_the_help_of_its_verb(verb, tmp_path, capsys):
    error, code = refused([*verb.format(tmp_path).split(), "--no-such-option"], capsys)
    assert code == 2 and f"see prehend-train {verb.split()[0]} --help" in error and "--no-such-option" in error


@pytest.mark.parametrize("words", [words for words in VERBS if words not in LEAVES], ids=" ".join)
def test_a_verb_with_steps_asks_for_one(words, capsys):
    error, code = refused(words, capsys)
    assert code == 2 and "required" in error


@pytest.mark.parametrize(
    ("words", "option"),
    [(words, a.option_strings[0]) for words, p in LEAVES.items() for a in p._actions if a.type in (int, float)],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_number_is_a_number(words, option, capsys):
    error, code = refused([*words, option, "many"], capsys)
    assert code == 2 and option in error and "many" in error


TRAIN = "train debug-unihope {0}/run --data {1} --steps 1"
SCENES = "scenes --kind crops --count 1 --out {0}/x"
SHOW = "show {1} --out {0}/x.png"
BOOST = "boost train debug-handbooster {0}/run --data {1} --steps 1"
CREATE = "boost create --out {0}/x --count 1"
SAMPLE = "boost sample {0}/run --conditions {1} --out {0}/x"
WRONG_NUMBERS = [
    *((f"{TRAIN} {more}", 2) for more in ("--batch 0", "--batch -2", "--lr 0", "--lr -1", "--lr nan", "--seed -1")),
    *((f"{TRAIN} {more}", 2) for more in ("--call-minutes -1", "--call-minutes nan")),
    *((f"{TRAIN} {more}", 1) for more in ("--threads -1", "--workers -1", "--processes 0", "--cache -1")),
    *((f"{TRAIN} {more}", 1) for more in ("--cache nan", "--in-memory 0", "--data {1}=0 --data {1}=1")),
    *((TRAIN.replace("--steps 1", f"--minutes {time}"), 1) for time in ("0", "-1", "nan", "inf")),
    *((TRAIN.replace("--steps 1", f"--steps {steps}"), 1) for steps in ("0", "-1")),
    *((TRAIN.replace("{1}", f"{{1}}={weight}"), 1) for weight in ("0", "-1", "nan", "inf")),
    *((f"{SCENES} {more}", 2) for more in ("--size 0", "--size 15", "--seed -1", "--gpus-per-worker -1")),
    *((f"{SCENES} {more}", 2) for more in ("--workers -1", "--workers many")),
    *((f"{SCENES} {more}", 1) for more in ("--quality 0", "--quality 101", "--shard-size 0")),
    *((f"{SHOW} {more}", 2) for more in ("--count 0", "--count -1", "--columns 0", "--columns -2", "--first -1")),
    *((f"{SHOW} {more}", 2) for more in ("--scale 0", "--scale -1", "--preset debug-unihope --count -1")),
    *((f"stats {{1}} --out {{0}}/x --limit {limit}", 2) for limit in (0, -3)),
    *((f"grasps --object mug --out {{0}}/x {more}", 2) for more in ("--count 0", "--count -1", "--seed -1")),
    ("dataset dexycb --root {0} --count 0", 1),
    *((f"hard-negatives {{0}}/x --data {{1}} --most {most}", 1) for most in (0, -1)),
    *((f"hard-negatives {{0}}/x --data {{1}} --threshold {share}", 1) for share in (-1, 5, "nan")),
    *((f"label {{0}} --teacher unihope-s --out {{0}}/x.json --apart {share}", 1) for share in (0, 1, "nan")),
    ("import {1}/index.json --source a --licence b --out {0}/x --validation 2", 1),
    *((f"evaluate {{0}} --data {{1}} --limit {limit}", 1) for limit in (0, -1)),
    *((f"evaluate {{0}} --photos {{0}} {more}", 1) for more in ("--sheet -1", "--worst -1", "--stereo-unit-mm nan")),
    *((f"calibrate {{0}} --data {{1}} --samples {samples}", 2) for samples in (0, -1)),
    *((f"hhmr hypotheses unihope-s --data {{1}} {more}", 2) for more in ("--first -1", "--count 0", "--hypotheses 0")),
    *((f"hhmr evaluate hhmr-xs --data {{1}} {more}", 2) for more in ("--drawn 0", "--hands 0", "--seed -1")),
    *((f"blend {{0}} --start {{0}} --out {{0}}/x --share {share}", 1) for share in (-1, 2, "nan")),
    ("palms measure palm {0} --every 0", 1),
    *((f"palms blend {{0}} --start {{0}} --out {{0}}/x --share {share}", 1) for share in (-1, 2, "nan")),
    *((f"{BOOST} {more}", 1) for more in ("--batch 0", "--lr 0", "--lr nan", "--data {1}=0")),
    (f"{BOOST} --seed -1", 2),
    (f"{CREATE} --seed -1", 2),
    *((f"{CREATE} {more}", 1) for more in ("--size 0", "--real-share 2", "--synthetic 0", "--turn nan", "--shape -1")),
    *((f"{SAMPLE} {more}", 2) for more in ("--seed -1", "--device abacus")),
    *((f"{SAMPLE} {more}", 1) for more in ("--steps 0", "--steps 2000", "--guidance nan", "--eta -1", "--batch 0")),
    *((f"{SAMPLE} {more}", 1) for more in ("--variants 0", "--limit 0")),
    *((f"boost filter {{1}} --out {{0}}/x {more}", 1) for more in ("--quantile 0", "--quantile 2", "--error-mm -1")),
    ("boost filter {1} --out {0}/x --aligned-mm nan", 1),
    ("boost filter {1} --out {0}/x --device abacus", 2),
]  # fmt: skip


@pytest.mark.parametrize(("command", "expected"), WRONG_NUMBERS)
def test_a_number_that_means_nothing_is_refused_before_any_work(command, expected, crops, tmp_path, capsys):
    option = command.split()[-2] if command.split()[-2].startswith("--") else ""
    error, code = refused(command.format(tmp_path, crops).split(), capsys)
    assert code == expected and not (tmp_path / "x").exists() and not (tmp_path / "run").exists()
    assert expected == 1 or option in error


@pytest.mark.parametrize(
    ("command", "way_out"),
    [
        ("train debug-unihope {0}/run --data {0} --steps 1", "prehend-train scenes"),
        ("train debug-unihope {0}/run --data {2} --steps 1", "expected folders of crops"),
        ("train debug-unihope {0}/run --data photos: --steps 1", "photos:LABELS.json"),
        ("train debug-unihope {0}/run --data photos:{0}/l.json --steps 1", "no labels"),
        ("train debug-unihope {0}/run --data {1} --steps 1 --start {0}", "progress.json"),
        ("train debug-unihope {0}/run --data {1} --steps 1 --teacher {0}", "train"),
        ("train debug-h2onet {0}/run --data {1} --steps 1", "--kind sequences"),
        ("train debug-sima {0}/run --data {1} --steps 1", "--teacher RUN"),
        ("train palm {0}/run --data {2} --steps 1", "prehend-train palms train"),
        ("train unihope {0}/run --data {1} --steps 1", "unknown preset"),
        ("palms train {0}/run --preset unihope-s --data {2} --labels {0} --start {0} --steps 1", "prehend-train train"),
        ("evaluate {0} --data {1}", "manifest.json"),
        ("evaluate nothing --data {1}", "choose one of"),
        ("evaluate unihope-s --data {1} --photos {0}", "measured apart"),
        ("evaluate unihope-s --look {0}", "--out DIR"),
        ("evaluate unihope-s --clip {0}/a.mp4 --markdown", "--photos"),
        ("evaluate unihope-s --frames {1} --boxes nope", "choose one of"),
        ("calibrate {0} --data {1}", "run.json"),
        ("export {0} --out {0}/x", "run.json"),
        ("spread unihope-s --data {1}", "sequences"),
        ("steady unihope-s --data {1}", "sequences"),
        ("events unihope-s --data {1}", "sequences"),
        ("steady palm --data {1}", "crop network"),
        ("show {1} --out {0}/x.png --preset hhmr-s", "does not show"),
        ("show {1} --out {0}/x.gif2", ".png or .jpg"),
        ("hard-negatives {0}/x --data {1}", "whole images"),
        ("hard-negatives {0}/x --data {2} --detector unihope-s", "no detector"),
        ("label {0} --teacher mediapipe --out {0}/x.json", "no images"),
        ("label {0} --teacher unihope-s --out {0}/x.json", "no images"),
        ("whole {1}/index.json --out {0}/x.json", "prehend-train label"),
        ("whole {0}/a.json --out {0}/a.json", "give another"),
        ("import {0} --source a --licence b --out {0}/x", "known are"),
        ("trunk --wheel {0} --out {0}/x", "pip download"),
        ("trunk --wheel {0} --out {0}/x --bundle {0}/y", "--kind palm"),
        ("palms label {0} --out {0}/x.json --every a", "FOLDER=N"),
        ("palms label {0} --out {0}/x.json", "no images"),
        ("palms measure unihope-s {0}", "no detector"),
        ("palms blend {0} --start {0} --out {0}/x", "train it first"),
        ("ablate unihope-s --data {1} --held-out {1} --steps 1 --out {0}/x", "unihope-s-row-a"),
        ("ablate debug-unihope --data {1} --held-out {1} --steps 1 --out {0}/x --rows h", "choose of abcdefg"),
        ("ablate debug-unihope --data {1} --held-out {1} --steps 1 --out {0}/x --rows=", "choose of abcdefg"),
        ("ablate debug-unihope --data {1} --held-out {1} --steps 1 --out {0}/x --seeds 0", "one seed"),
        ("views-table sima-xs --data {1} --held-out {1} --steps 1 --out {0}/x --rows=", "choose of views"),
        ("deocclude {0}/x --data {1} --diffusion {0} --control {0} --part 3/2", "0 <= K < N"),
        ("deocclude {0}/x --data {1} --diffusion {0} --control {0} --part 1", "such as 0/8"),
        ("deocclude {0}/x --data {1} --diffusion {0} --control {0} --strength 7", "0 < s <= 1"),
        ("boost train nope {0}/run --data {1} --steps 1", "choose one of"),
        ("boost train debug-handbooster {0}/run --data {2} --steps 1", "expected crops"),
        ("boost create --out {0}/x --count 1 --object nope", "prehend-train grasps"),
        ("boost sample {0} --conditions {1} --out {0}/x", "boost train"),
        ("boost filter {0} --out {0}/x", "boost sample"),
        ("boost compare debug-unihope --scenes {1} --made {0} --further {1} --held-out {1} --steps 1 --out {0}/x",
         "prehend-train scenes"),
        ("objects list --folder {0}", "no .yaml"),
        ("objects import {0}/a.stl --id a --out {0}/x", "does not exist"),
        ("objects import {1}/index.json --id a --out {0}/x", ".obj"),
        ("sheets --out {0}/x --only nope", "choose one of"),
        ("dataset nope --root {0}", "choose one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_names_the_way_out(command, way_out, crops, frames, tmp_path, capsys):
    error, code = refused(command.format(tmp_path, crops, frames).split(), capsys)
    assert code == 1 and way_out in error


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"schema": 3}', b'{"a": '])
@pytest.mark.parametrize(
    "command",
    [
        "whole {0} --out {1}/x.json",
        "import {0} --source a --licence b --out {1}/x",
        "boost fit {0} --out {1}/x",
        "train debug-unihope {1}/run --data photos:{0} --steps 1",
        "show photos:{0} --out {1}/x.png",
        "palms train {1}/run --data {2} --labels {0} --start {1} --steps 1",
        "label {1} --teacher unihope-s --base {0} --out {1}/x.json",
        "palms label {1} --boxes {0} --out {1}/x.json",
    ],
)
def test_a_damaged_file_of_labels_is_named_in_one_line(command, damage, frames, tmp_path, capsys):
    given = tmp_path / "labels.json"
    given.write_bytes(damage)
    error, code = refused(command.format(given, tmp_path, frames).split(), capsys)
    assert code == 1 and "labels.json" in error
