"""The layouts of config/ for RViz and Foxglove, against what a running node publishes."""

import json
import re
from pathlib import Path

import pytest
import yaml
from rosbags.interfaces import Nodetype

from prehend.ros import messages as m
from prehend.ros.playback.play import FRAME_ID

CONFIG = Path(__file__).parents[2] / "config"
RVIZ = yaml.safe_load((CONFIG / "prehend.rviz").read_text())["Visualization Manager"]
FOXGLOVE = json.loads((CONFIG / "prehend_foxglove.json").read_text())

RVIZ_TYPES = {  # what the display subscribes to; an image's transport is the end of its topic's name
    "rviz_default_plugins/MarkerArray": {m.MARKERS},
    "rviz_default_plugins/Image": {m.IMAGE, m.COMPRESSED_IMAGE},
    "rviz_default_plugins/TF": {m.TF},
}
PANEL_TYPES = {
    "3D": {m.MARKERS, m.IMAGE, m.COMPRESSED_IMAGE, m.TF},
    "Image": {m.IMAGE, m.COMPRESSED_IMAGE},
    "DiagnosticSummary": {m.DIAGNOSTICS},
}


def rviz_topics() -> dict[str, set[str]]:
    """What RViz subscribes to, and which types will do."""
    found = {}
    for display in RVIZ["Displays"]:
        if display["Class"] == "rviz_default_plugins/Grid":
            continue
        topic = display["Topic"]["Value"] if "Topic" in display else "/tf"
        kinds = RVIZ_TYPES[display["Class"]]
        if m.COMPRESSED_IMAGE in kinds:
            kinds = {m.COMPRESSED_IMAGE} if topic.endswith("/compressed") else {m.IMAGE}
        found[topic] = kinds
    return found


def foxglove_topics() -> dict[str, set[str]]:
    """What the panels of Foxglove subscribe to, and which types will do."""
    found = {}
    for name, panel in FOXGLOVE["configById"].items():
        kind = name.partition("!")[0]
        if kind == "3D":
            found |= {topic: PANEL_TYPES[kind] for topic, shown in panel["topics"].items() if shown["visible"]}
        elif kind == "Image":
            found[panel["imageMode"]["imageTopic"]] = PANEL_TYPES[kind]
        elif kind == "DiagnosticSummary":
            found[panel["topicToRender"]] = PANEL_TYPES[kind]
        else:
            assert kind == "Plot", f"what does {name} subscribe to?"
            found |= {path["value"].partition(".")[0]: {m.HAND_ARRAY} for path in panel["paths"]}
    return found


@pytest.mark.parametrize("topics", [rviz_topics, foxglove_topics])
def test_what_a_layout_shows_is_published_by_the_node_with_that_type(peer, start, topics):
    start("toy_node.py")
    wanted = topics()
    assert len(wanted) >= 3

    def published() -> dict[str, str]:
        infos = {topic: peer.node.get_publishers_info_by_topic(topic) for topic in wanted}
        return {t: one.topic_type for t, some in infos.items() for one in some if one.node_name == "prehend"}

    peer.until(lambda: set(published()) == set(wanted), f"the topics {sorted(wanted)}")
    for topic, kind in published().items():
        assert kind in wanted[topic], f"{topic} is a {kind}"


def test_rviz_asks_for_no_more_than_the_publishers_give():
    """They are reliable and, but for the model's, volatile: so must be who listens."""
    for display in RVIZ["Displays"]:
        if "Topic" in display:
            assert display["Topic"]["Durability Policy"] == "Volatile", display["Name"]
            assert display["Topic"]["Reliability Policy"] in ("Reliable", "Best Effort")


def test_plots_follow_fields_that_the_message_has():
    for path in FOXGLOVE["configById"]["Plot!latency"]["paths"]:
        kind = m.HAND_ARRAY
        for part in path["value"].split(".")[1:]:
            field = re.sub(r"\[.*\]$", "", part)
            fields = dict(m.typestore().get_msgdef(kind).fields)
            assert field in fields, f"{path['value']}: {kind} has no {field}"
            node, content = fields[field]
            if node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
                assert part.endswith("]"), f"{path['value']}: {field} is a list"
                node, content = content[0]
            kind = content if node == Nodetype.NAME else ""
        assert kind == "", f"{path['value']} is no number"


def test_the_fixed_frame_is_the_one_that_play_gives_its_images():
    assert RVIZ["Global Options"]["Fixed Frame"] == FRAME_ID
    assert FOXGLOVE["configById"]["3D!hands"]["followTf"] == FRAME_ID


def test_every_panel_has_a_place_and_every_place_a_panel():
    placed = set(re.findall(r'"([A-Za-z0-9]+![a-z]+)"', json.dumps(FOXGLOVE["layout"])))
    assert placed == set(FOXGLOVE["configById"])
