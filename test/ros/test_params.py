from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from prehend.errors import ParameterError
from prehend.ros.params import NodeParams, markdown_table, specs

ROOT = Path(__file__).parents[2]


def test_the_parameter_file_holds_the_defaults():
    content = yaml.safe_load((ROOT / "config" / "node.yaml").read_text())
    assert content == {"/**": {"ros__parameters": {entry.name: entry.default for entry in fields(NodeParams)}}}


def test_the_documentation_lists_every_parameter():
    assert markdown_table() in (ROOT / "docs" / "ROS.md").read_text()


def test_defaults_are_those_of_the_pipeline():
    from prehend.pipeline.config import EstimatorConfig

    config, params = EstimatorConfig(), NodeParams()
    assert (params.max_hands, params.find_interval_s) == (config.track.max_hands, config.track.find_interval_s)
    assert (params.min_score, params.fov_deg) == (config.presence, config.fov_deg)
    assert (params.keep_lost_s, params.smooth_beta) == (config.track.keep_lost_s, config.smooth.beta)


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


def test_whole_numbers_are_welcome_where_floats_are_wanted():
    assert NodeParams().updated({"fov_deg": 90, "silent_after_s": 3}).fov_deg == 90.0
