"""`prehend eval` that was stopped, cannot read or write, or is asked for what cannot be."""

import pytest
from eval_runs import FRAMES, evaluate, only

from prehend.cli.evaluation.eval import run
from prehend.cli.main import main
from prehend.io.results.predictions import read_predictions

pytest.importorskip("rosbags")
pytest.importorskip("matplotlib")


def test_it_goes_on_after_the_last_source_that_was_finished(hand_bag, images, tmp_path, load, estimators):
    bag, out = hand_bag(), tmp_path / "out"

    def load_once(args, tracking):
        if len(estimators) == 1:
            raise KeyboardInterrupt
        return load(args, tracking)

    with pytest.raises(KeyboardInterrupt):
        run([str(bag), str(images), "--out", str(out)], load_once)
    assert (
        not (out / "report.html").exists()
        and len(read_predictions(out / "predictions" / "bag.json")["frames"]) == FRAMES
    )
    estimators.clear()
    code, metrics = evaluate(load, out, bag, images)
    assert code == 0 and list(metrics["runs"]) == ["bag", "images"]
    assert [estimator.frames for estimator in estimators] == [3]  # the bag was not run again
    estimators.clear()
    evaluate(load, out, bag, images, "--min-score", "0.9")  # other settings: everything again
    assert [estimator.frames for estimator in estimators] == [FRAMES, 3]


def test_a_run_that_was_stopped_in_between_is_not_taken_for_finished(hand_bag, tmp_path, load, estimators):
    bag, out = hand_bag(), tmp_path / "out"

    def load_stopping(args, tracking):
        estimator = load(args, tracking)
        estimate = estimator.estimate

        def stop(*given, **options):
            if estimator.frames == 5:
                raise KeyboardInterrupt
            return estimate(*given, **options)

        estimator.estimate = stop
        return estimator

    with pytest.raises(KeyboardInterrupt):
        run([str(bag), "--out", str(out)], load_stopping)
    assert read_predictions(out / "predictions" / "bag.json")["complete"] is False
    _, metrics = evaluate(load, out, bag)
    assert only(metrics)["frames"]["frames"] == FRAMES


def test_the_report_of_before_does_not_stay_beside_other_predictions(hand_bag, tmp_path, load, estimators):
    """Stopped while the sources run anew with other options, it would be taken for theirs."""
    bag, out = hand_bag(), tmp_path / "out"
    assert evaluate(load, out, bag)[0] == 0 and (out / "report.html").exists()

    def stop(args, tracking):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([str(bag), "--out", str(out), "--smooth", "1.5"], stop)
    assert not (out / "report.html").exists()
    assert evaluate(load, out, bag)[0] == 0 and (out / "report.html").exists()


def test_a_source_that_cannot_be_read_costs_itself_alone(hand_bag, tmp_path, load, capsys):
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(b"nothing of the kind")
    code, metrics = evaluate(load, tmp_path / "out", hand_bag(), broken)
    assert code == 1 and list(metrics["runs"]) == ["bag"]
    assert "broken.mcap: not a rosbag" in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_file(hand_bag, tmp_path, load, monkeypatch, capsys):
    import subprocess
    import sys

    bag, out = hand_bag(), tmp_path / "out"
    limit = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from prehend.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    run([str(bag), "--out", str(out), "--no-timing"], load)
    command = [sys.executable, "-c", limit, "eval", str(out), "--out", str(tmp_path / "small")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "cannot be written" in done.stderr
    left = {path.name for path in (tmp_path / "small").iterdir()}
    assert "report.html" not in left and "metrics.json" in left and not any(".part" in name for name in left)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["0", "--out", "OUT"], "a camera gives other images each time"),
        (["IMAGES", "--out", "IMAGES/out"], "lies among the inputs"),
        (["IMAGES", "--out", "IMAGES/0.png"], "is a file"),
        (["IMAGES", "IMAGES", "--out", "OUT", "--bag-out", "x.mcap"], "--bag-out takes one source"),
        (["IMAGES", "--out", "OUT", "--keep", "/a"], "--keep goes with --bag-out"),
        (["IMAGES", "--out", "OUT", "--ray-address", "auto"], "--ray-address goes with --engine ray"),
        (["IMAGES", "--out", "OUT", "--save-table", "x.xls"], "expected a name that ends with"),
        (["IMAGES", "--out", "OUT", "--truth", "dexycb", "--truth", "freihand"], "one dataset at a time"),
        (["IMAGES", "--out", "OUT", "--truth", "/topic"], "topics are of a bag"),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(images, tmp_path, monkeypatch, capsys, arguments, text):
    words = [word.replace("IMAGES", str(images)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert main(["eval", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert text in said and len(said.splitlines()) == 1
