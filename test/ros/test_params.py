from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from prehend.errors import ParameterError
from prehend.pipeline.options import EstimatorOptions
from prehend.ros.params import NodeParams, markdown_table, specs

ROOT = Path(__file__).parents[2]


def test_the_parameter_file_holds_the_defaults():
    content = yaml.safe_load((ROOT / "config" / "node.yaml").read_text())
    assert content == {"/**": {"ros__parameters": {entry.name: entry.default for entry in fields(NodeParams)}}}


def test_the_documentation_lists_every_parameter():
    assert markdown_table() in (ROOT / "docs" / "ROS.md").read_text()


def test_defaults_are_those_of_the_options_but_for_what_a_robot_needs():
    options = NodeParams().options()
    assert options == EstimatorOptions(smooth_min_cutoff_hz=1.5, detector_beside=True)
    assert NodeParams().fov_deg == options.fov_deg
    assert NodeParams().obsolete() == ()


@pytest.mark.parametrize(
    ("old", "value", "new", "means"),
    [("finder", "somewhere", "detector", "somewhere"), ("find_interval", 6, "find_interval_s", 0.2)],
)
def test_parameters_of_old_names_work_and_are_told_of(old, value, new, means):
    params = NodeParams().updated({old: value})
    given = getattr(params.options(), new)
    assert given == (means if isinstance(means, str) else pytest.approx(means))
    (line,) = params.obsolete()
    assert line.startswith(f"parameter {old} ") and new in line


@pytest.mark.parametrize(
    ("frames", "stride_s", "fits"),
    [(6, 0.167, True), (7, 0.167, False), (16, 1.0, False), (2, 1.0, True), (0, 1.0, True)],
)
def test_frames_that_reach_back_too_far_do_not_stop_the_node(frames, stride_s, fits):
    params = NodeParams().updated({"temporal_frames": frames, "temporal_stride_s": stride_s})
    assert params.options().temporal_frames == (frames if fits else 0)
    notes = params.notes()
    assert notes == () if fits else len(notes) == 1 and f"temporal_frames is {frames}" in notes[0]


@pytest.mark.parametrize("name", [name for name, spec in specs().items() if spec.span])
def test_ranges_hold_at_both_ends_and_not_beyond(name):
    low, high = specs()[name].span
    kind = type(getattr(NodeParams(), name))
    for value in (low, high):
        assert getattr(NodeParams().updated({name: kind(value)}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ParameterError, match=name):
            NodeParams().updated({name: kind(value)})


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"min_scor": 0.5}, "min_score"),
        ({"max_hands": 2.0}, "int"),
        ({"publish_tf": 1}, "bool"),
        ({"threads": True}, "int"),
        ({"model": 3}, "str"),
        ({"image_transport": "smoke"}, "raw, compressed"),
        ({"fov_deg": 5.0}, "fov_deg"),
        ({"fov_deg": float("nan")}, "fov_deg"),
        ({"tf_prefix": "/left"}, "tf_prefix"),
        ({"find_interval": 5, "find_interval_s": 1.0}, "contradict"),
        ({"operator": "off", "publish_finger_frames": True}, "operator must be"),
        ({"outputs": "hands, feet"}, "hands, joint_states, joint_poses, detections, hts"),
        ({"depth_info_topic": "/depth/info"}, "depth_info_topic goes with a depth_topic"),
        ({"depth_topic": "/d", "depth_info_topic": "/i", "depth_alignment": "aligned"}, "depth_info_topic goes with"),
        ({"depth_alignment": "maybe"}, "auto, aligned, register"),
        ({"hand_model": "/nowhere.npz"}, "/nowhere.npz"),
        ({"hand_model": "a" * 5000}, "no such file"),
        ({"hand_model": "a\0b"}, "no such file"),
        ({"fov_deg": 10**400}, "fov_deg"),
        ({"max_hands": 10**5000}, "max_hands"),
        ({"max_hands": -(10**400)}, "max_hands"),
        ({"model": 10**5000}, "str"),
    ],
)
def test_what_is_wrong_is_named(values, word):
    with pytest.raises(ParameterError, match=word):
        NodeParams().updated(values)


def test_off_may_be_said_without_quotes():
    """YAML, as which ROS reads `-p operator:=off` and parameter files, takes the word for false."""
    off = {name for name, spec in specs().items() if "off" in spec.choices}
    assert {"operator", "publish_markers"} <= off
    for name in off:
        assert getattr(NodeParams().updated({name: yaml.safe_load("off")}), name) == "off"
    with pytest.raises(ParameterError, match="expected a str"):
        NodeParams().updated({"lost": False})
    with pytest.raises(ParameterError, match="expected a str"):
        NodeParams().updated({"operator": True})


def test_whole_numbers_are_welcome_where_floats_are_wanted():
    assert NodeParams().updated({"fov_deg": 90, "silent_after_s": 3}).fov_deg == 90.0
