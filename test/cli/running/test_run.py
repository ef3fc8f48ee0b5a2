import json

import cv2
import numpy as np
import pytest

from prehend.cli.arguments import options
from prehend.cli.arguments.options import given_options
from prehend.cli.main import main
from prehend.cli.running.reading import load_for
from prehend.cli.running.run import build_parser, run
from prehend.errors import OutputError, ParameterError
from prehend.io.films.writing import VideoWriter
from prehend.io.results.predictions import read_predictions
from prehend.io.sources import open_source
from prehend.pipeline import options as pipeline_options
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.smoothing import smooth
from prehend.ros.params import NodeParams

K = [[60.0, 0, 31.5], [0, 60, 23.5], [0, 0, 1]]


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path, 20.0)
    for level in range(0, 250, 50):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.close()
    return path


def saved(tmp_path, content):
    path = tmp_path / "given.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_a_folder_gives_predictions_pictures_and_a_summary(images, tmp_path, load, estimators, capsys):
    assert run([str(images), "--json", str(tmp_path / "out.json"), "--overlay", str(tmp_path / "out")], load) == 0
    read = read_predictions(tmp_path / "out.json")
    assert [frame["source"] for frame in read["frames"]] == ["0.png", "1.png", "2.png"]
    assert read["model"]["name"] == "toy" and len(read["model"]["weights_sha256"]) == 64
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]
    out, err = capsys.readouterr()
    assert "3 frames, 3 hands, 3 grasping; 5.0 ms per frame" in out and "distances are rough" in out
    assert err == "" and estimators[0].closed


def test_what_the_estimator_gave_up_is_counted(images, load, capsys):
    def load_picky(args, tracking):
        estimator = load(args, tracking)
        estimator.drops = {"bad_fit": 1, "no_hand": 4}
        return estimator

    assert run([str(images)], load_picky) == 0
    assert "given up: 4 no_hand, 1 bad_fit" in capsys.readouterr().out


def test_a_video_is_tracked_and_becomes_a_video(video, tmp_path, load, estimators):
    assert run([str(video), "--json", str(tmp_path / "out.json"), "--overlay", str(tmp_path / "out")], load) == 0
    frames = read_predictions(tmp_path / "out.json")["frames"]
    assert [frame["index"] for frame in frames] == list(range(5)) and frames[2]["stamp"] == pytest.approx(0.1)
    with open_source(str(tmp_path / "out" / "clip.mp4")) as overlay:
        assert len(list(overlay)) == 5
    assert estimators[0].tracking


def test_results_that_are_held_back_come_with_their_own_images_and_say_so(video, tmp_path, load):
    said = {}
    for name, words in {
        "at_once": [],
        "none": ["--lag", "0"],
        "held": ["--lag", "0.1", "--overlay", str(tmp_path / "out")],
    }.items():
        path = tmp_path / "out" / f"{name}.json"
        assert run([str(video), *words, "--json", str(path)], load) == 0
        said[name] = path.read_bytes()
    assert said["at_once"] == said["none"] and b"lag_s" not in said["none"]
    frames = read_predictions(tmp_path / "out" / "held.json")["frames"]
    assert [frame["index"] for frame in frames] == list(range(5)), "the last ones do not get lost"
    assert [frame["lag_s"] for frame in frames[:4]] == pytest.approx([0.1, 0.1, 0.1, 0.05]) and "lag_s" not in frames[4]
    with open_source(str(tmp_path / "out" / "clip.mp4")) as overlay:
        assert len(list(overlay)) == 5


def test_images_on_their_own_wait_for_no_later_ones(images, video, tmp_path, load, capsys):
    """Of a folder and a film the film's are held back, and a line says what a folder needs for it."""
    path = tmp_path / "out.json"
    assert run([str(images), str(video), "--lag", "0.1", "--json", str(path)], load) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"prehend run: {images}: --lag has no effect") and "--track" in line
    frames = read_predictions(path)["frames"]
    assert ["lag_s" in frame for frame in frames] == [False] * 3 + [True] * 4 + [False]
    assert run([str(images), "--track", "--lag", "0.1", "--json", str(path)], load) == 0
    assert "lag_s" in read_predictions(path)["frames"][0] and capsys.readouterr().err == ""


def test_the_estimator_of_images_on_their_own_holds_nothing_back(monkeypatch):
    asked = []
    monkeypatch.setattr("prehend.pipeline.load.load_estimator", lambda **options: asked.append(options))
    args = build_parser().parse_args(["images", "--lag", "0.2"])
    for tracking in (False, True):
        load_for(args, tracking)
        assert EstimatorOptions(**asked[-1]).temporal_lag_s == (0.2 if tracking else 0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--smoother", "kalman"], "--smoother has no effect without --smooth"),
        (["--smoother", "kalman", "--smooth", "0"], "--smoother has no effect without --smooth"),
        (["--grasp-events", "moved"], "--grasp-events has no effect without --events or --json"),
        (
            ["--grasp-events", "moved", "--json", "-", "--json-version", "1"],
            "--grasp-events has no effect without --events or --json",
        ),
        (["--temporal-stride", "0.1"], "--temporal-stride has no effect without --temporal-frames"),
        (["--temporal-stride", "0.1", "--temporal-frames", "0"], ""),
        (["--hypothesis-budget", "5"], "--hypothesis-budget has no effect without --hypotheses"),
        (["--lost", "hold", "--no-track"], "--lost has no effect with --no-track"),
        (["--events", "-", "--no-track"], "--events has no effect with --no-track"),
        (
            ["--no-track", "--smooth", "1", "--smoother", "kalman", "--temporal-frames", "5"],
            "--smooth, --smoother and --temporal-frames have no effect with --no-track",
        ),
        (["--smoother", "kalman", "--lag", "0.1"], ""),
        (["--grasp-events", "moved", "--json", "-"], ""),
        (["--grasp-events", "moved", "--events", "-"], ""),
        (["--smooth", "0", "--smoother", "one-euro", "--lost", "drop", "--temporal-frames", "1", "--no-track"], ""),
    ],
)
def test_what_has_no_effect_is_told_and_does_not_stop_the_run(video, load, capsys, words, told):
    assert run([str(video), *words], load) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "effect" in line]
    assert lines == ([f"prehend run: {told}"] if told else [])


def test_what_photographs_have_no_use_for_is_told_once(images, video, tmp_path, load, capsys):
    words = ["--smooth", "1", "--temporal-frames", "5", "--lost", "hold", "--events", str(tmp_path / "events.jsonl")]
    assert run([str(video), str(images), str(images / "0.png"), *words], load) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"prehend run: {images}: --smooth, --lost, --temporal-frames and --events have no effect")
    assert run([str(images), "--track", *words], load) == 0
    assert run([str(video), *words], load) == 0
    assert run([str(images), "--operator", "off", "--lag", "0"], load) == 0
    assert capsys.readouterr().err == ""


def test_events_are_lines_of_their_own(video, tmp_path, load, capsys):
    path = tmp_path / "new" / "events.jsonl"
    assert run([str(video), "--events", str(path), "--json", str(tmp_path / "out.json")], load) == 0
    assert f"events: 2 lines in {path}" in capsys.readouterr().out
    found, grasped = (json.loads(line) for line in path.read_text().splitlines())
    assert (found["event"], found["source"], found["index"]) == ("found", str(video), 1)
    assert (found["stamp"], found["late_s"]) == (0.0, pytest.approx(0.05))
    assert (grasped["event"], grasped["confidence"]) == ("grasped", 0.9)
    frames = read_predictions(tmp_path / "out.json")["frames"]
    assert [event["event"] for frame in frames for event in frame["events"]] == ["found", "grasped"]
    assert run([str(video), "--events", "-"], load) == 0
    out, err = capsys.readouterr()
    assert out == path.read_text() and "5 frames" in err
    assert run([str(video), "--no-track", "--events", str(path)], load) == 0
    assert path.read_text() == "", "unrelated images have no events"


def test_events_that_cannot_be_written_are_refused(video, tmp_path, load):
    for wrong in (["--events", str(tmp_path)], ["--events", "-", "--json", "-"], ["--events", str(video)]):
        with pytest.raises(ParameterError, match="--events"):
            run([str(video), *wrong], load)
    with pytest.raises(OutputError, match="cannot be written"):
        run([str(video), "--events", str(video / "x.jsonl")], load)


def test_who_is_tracked(images, video, load, estimators):
    assert run([str(images), str(video), str(images / "1.png")], load) == 0
    assert [(e.tracking, e.frames, e.resets) for e in estimators] == [(False, 4, 2), (True, 5, 1)]
    estimators.clear()
    assert run([str(images), str(video), "--no-track"], load) == 0
    assert [(e.tracking, e.frames) for e in estimators] == [(False, 8)]
    estimators.clear()
    assert run([str(images), "--track"], load) == 0
    assert [(e.tracking, e.frames) for e in estimators] == [(True, 3)]


def test_images_of_several_sizes_are_no_sequence(images, load, capsys):
    cv2.imwrite(str(images / "3.png"), np.zeros((10, 20, 3), np.uint8))
    assert run([str(images)], load) == 0
    assert run([str(images), "--track"], load) == 1
    assert "3.png: its size differs" in capsys.readouterr().err


def test_names_of_several_sources_stay_apart(images, tmp_path, load):
    assert run([str(images), str(images / "0.png"), "--json", str(tmp_path / "out.json")], load) == 0
    sources = [frame["source"] for frame in read_predictions(tmp_path / "out.json")["frames"]]
    assert sources == [f"{images}/{n}.png" for n in (0, 1, 2, 0)]


def test_what_fails_is_told_and_the_rest_is_done(images, tmp_path, load, capsys):
    (images / "1.png").write_bytes(b"no image")
    gone = str(tmp_path / "gone.png")
    assert run([gone, str(images), "--json", str(tmp_path / "out.json")], load) == 1
    assert [frame["index"] for frame in read_predictions(tmp_path / "out.json")["frames"]] == [0, 2]
    first, second, last = capsys.readouterr().err.splitlines()
    assert gone in first and "1.png" in second and last == "prehend run: 2 failures, 2 frames done"


def test_nothing_done_leaves_no_file_and_one_line(tmp_path, load, capsys):
    assert run([str(tmp_path / "gone.png"), "--json", str(tmp_path / "out.json")], load) == 1
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and not (tmp_path / "out.json").exists()


def test_boxes_replace_the_finder(images, tmp_path, load, capsys):
    boxes = saved(tmp_path, {"images/1.png": [{"box_px": [5, 6, 25, 26], "side": "left"}], "images/2.png": []})
    assert run([str(images), "--boxes", boxes, "--json", str(tmp_path / "out.json")], load) == 0
    hands = [frame["hands"] for frame in read_predictions(tmp_path / "out.json")["frames"]]
    assert [len(found) for found in hands] == [0, 1, 0]
    assert hands[1][0]["box_px"] == [5, 6, 25, 26] and hands[1][0]["side"] == "left"
    assert "no boxes for 1 frame" in capsys.readouterr().out


def test_a_box_without_a_side_is_left_to_the_estimator(images, tmp_path, load, estimators):
    boxes = saved(tmp_path, {"1.png": [{"box_px": [5, 6, 25, 26], "side": None}], "0.png": [], "2.png": []})
    for tracking in ("--track", "--no-track"):
        assert run([str(images), "--boxes", boxes, tracking], load) == 0
        assert [hand.side for given in estimators[-1].given for hand in given] == [None]


def options_of(*words: str) -> EstimatorOptions:
    return EstimatorOptions(**given_options(build_parser().parse_args(["images", *words])))


def test_arguments_are_the_options_of_the_estimator():
    assert options_of() == EstimatorOptions()
    assert options_of("--smooth", "1.5").smooth.min_cutoff_hz == 1.5
    assert options_of("--object", "mug,box").object_ids == ("mug", "box")
    held = options_of("--lost", "hold", "--operator", "off")
    assert (held.lost, held.operator) == ("hold", "off")
    assert (options.LOST, options.OPERATORS) == (pipeline_options.LOST, pipeline_options.OPERATORS)
    assert options_of("--smooth", "0") == options_of("--lag", "0") == EstimatorOptions()
    assert options_of("--smooth", "30").smooth.min_cutoff_hz == options.MOST_CUTOFF_HZ == smooth.MOST_CUTOFF_HZ
    assert options_of("--lag", "1").temporal_lag_s == options.MOST_LAG_S == pipeline_options.MOST_LAG_S
    assert options.SMOOTHERS == pipeline_options.SMOOTHERS and options_of("--smoother", "kalman").smoother == "kalman"
    late = options_of("--lag", "0.2")
    assert (late.temporal_lag_s, late.smooth_min_cutoff_hz) == (0.2, NodeParams().smooth_min_cutoff_hz)
    assert options_of("--lag", "0.2", "--smooth", "2").smooth_min_cutoff_hz == 2
    strict = options_of("--min-score", "0.6", "--max-hands", "2")
    assert (strict.min_score, strict.lowest_kept, strict.max_hands) == (0.6, pytest.approx(0.4), 2)
    assert NodeParams().updated({"min_score": 0.6}).options().lowest_kept == strict.lowest_kept


def test_the_old_name_of_the_detector_works_and_is_told_of(capsys):
    assert options_of("--finder", "elsewhere").detector == "elsewhere"
    assert "--detector" in capsys.readouterr().err
    assert options_of("--detector", "here").detector == "here"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--min-score", "1.5"], "--min-score: 1.5 is not between 0 and 1"),
        (["--max-hands", "0"], "--max-hands: 0 is below 1"),
        (["--min-score", "0.5", "--boxes", "boxes.json"], "leave one of them out"),
        (["--max-hands", "2", "--boxes", "boxes.json"], "leave one of them out"),
        (["--lag", "2"], "--lag: 2 is not from 0 to 1"),
        (["--lag", "nan"], "--lag: nan is not from 0 to 1"),
        (["--lag", "0.2", "--no-track"], "leave --lag or --no-track out"),
        (["--lag", "0.2", "--smooth", "0"], "--lag 0.2 smooths and --smooth 0 does not"),
        (["--smooth", "31"], "--smooth: 31 is not from 0 to 30"),
        (["--temporal-frames", "3", "--temporal-stride", "0.9"], "--temporal-frames 3 reach back farther"),
        (["--temporal-stride", "0"], "--temporal-stride: 0 is not from 0.01 to 1"),
        (["--temporal-frames", "9"], "--temporal-frames 9 reach back farther than the 1 s that are remembered: take 6"),
    ],
)
def test_scores_and_counts_that_make_no_sense_are_refused(images, capsys, words, told):
    from prehend.cli.main import main

    try:
        assert main(["run", str(images), *words]) == 2
    except SystemExit as ended:
        assert ended.code == 2
    assert told in capsys.readouterr().err


def test_cameras_reach_the_estimator(images, tmp_path, load, capsys):
    assert (
        run([str(images), "--cameras", saved(tmp_path, {"1.png": K}), "--json", str(tmp_path / "out.json")], load) == 0
    )
    cameras = [frame["camera"] for frame in read_predictions(tmp_path / "out.json")["frames"]]
    assert [camera["estimated"] for camera in cameras] == [True, False, True] and cameras[1]["K"] == K
    assert "no camera known for 2 frames" in capsys.readouterr().out
    assert run([str(images), "--cameras", saved(tmp_path, {"K": K})], load) == 0
    assert "no camera known" not in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--boxes", "--cameras"])
def test_a_table_of_which_nothing_fits_is_a_mistake(images, tmp_path, load, capsys, option):
    entry = K if option == "--cameras" else []
    assert run([str(images), option, saved(tmp_path, {"other/9.png": entry})], load) == 1
    assert "no entry fits a source; the first entry is 'other/9.png'" in capsys.readouterr().err


def test_a_camera_of_another_shape_is_told_for_each_image(images, tmp_path, load, capsys):
    table = {"1.png": {"K": K, "width": 64, "height": 64}}
    assert run([str(images), "--cameras", saved(tmp_path, table)], load) == 1
    told = capsys.readouterr().err.splitlines()
    assert "1.png: " in told[0] and "aspect ratio" in told[0] and "2 frames done" in told[1]


def test_an_interruption_keeps_what_is_done(video, tmp_path, load, estimators, monkeypatch):
    def interrupt_third(args, tracking):
        estimator = load(args, tracking)
        estimate = estimator.estimate

        def estimate_two(*given):
            if estimator.frames == 2:
                raise KeyboardInterrupt
            return estimate(*given)

        estimator.estimate = estimate_two
        return estimator

    monkeypatch.setattr("prehend.cli.running.run.run.__defaults__", (interrupt_third,))
    assert main(["run", str(video), "--json", str(tmp_path / "out.json"), "--overlay", str(tmp_path / "out")]) == 130
    assert len(read_predictions(tmp_path / "out.json")["frames"]) == 2
    with open_source(str(tmp_path / "out" / "clip.mp4")) as overlay:
        assert len(list(overlay)) == 2


def test_outputs_never_lie_among_the_inputs(images, tmp_path, load):
    image = str(images / "0.png")
    for arguments in (
        [str(images), "--overlay", str(images)],
        [str(images), "--overlay", str(images / "sub")],
        [image, "--overlay", str(images)],
        [image, "--overlay", image],
        [image, "--json", image],
        [image, "--json", str(images)],
    ):
        with pytest.raises(ParameterError):
            run(arguments, load)
    assert len(list(images.iterdir())) == 3


def test_a_place_that_cannot_be_written_ends_the_run(images, tmp_path, load):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run([str(images), "--json", str(tmp_path / "file" / "out.json")], load)


def test_the_older_schema_for_those_who_read_it(images, tmp_path, load):
    assert run([str(images), "--json", str(tmp_path / "out.json"), "--json-version", "1"], load) == 0
    read = read_predictions(tmp_path / "out.json")
    assert read["schema"] == "prehend.predictions/1" and "betas" not in read["frames"][0]["hands"][0]
    for wrong in (["--mesh"], ["--mesh", "--json", "x.json", "--json-version", "1"]):
        with pytest.raises(ParameterError, match="--mesh goes with --json of schema 2"):
            run([str(images), *wrong], load)
