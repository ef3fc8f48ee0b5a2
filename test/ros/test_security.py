"""The SROS2 policy against the graphs that the real nodes make: of one camera, of several, and of a rig."""

import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

POLICY = ET.parse(Path(__file__).parents[2] / "config" / "sros2_policy.xml").getroot()
DEPTH = "/camera/depth/image_rect_raw"
ONE = ("outputs:=joint_states,joint_poses,detections,hts", "hypotheses:=8", "target_frame:=base", "use_sim_time:=true")
SEVERAL = ("cameras:=front,left", "use_sim_time:=true")
APART = (*SEVERAL, "outputs:=joint_states,joint_poses,detections", "hypotheses:=8", "target_frame:=base")
RIG = (*SEVERAL, "rig:=true", "rig_frame:=base", "outputs:=joint_states,joint_poses,detections,hts")
NOT_EVERYWHERE = {"/prehend/get_type_description"}
"""Humble has no such service."""

QUIET_S = 2.0
Names = dict[str, set[str]]


def allowed(enclave: str) -> Names:
    """Full names by what may be done with them."""
    [profile] = POLICY.iterfind(f".//enclave[@path='{enclave}']/profiles/profile")
    assert profile.get("ns") == "/"
    names: Names = {}
    for group in profile:
        for what, says in group.attrib.items():
            assert says == "ALLOW"
            full = [entry.text.replace("~", f"/{profile.get('node')}", 1) for entry in group]
            assert len(set(full)) == len(full)
            names[f"{what} {group.tag}"] = set(full)
    return names


def made(peer, start, script: str, parameters: tuple[str, ...], last: str) -> Names:
    """What a node that is started with everything switched on publishes, subscribes to and serves; `last` is the topic
    that it subscribes to after all others."""
    options = [part for name in parameters for part in ("-p", name)]
    remaps = ("-r", "image_raw:=/camera/image_raw", "-r", "camera_info:=/camera/camera_info")
    node = start(script, "--ros-args", *options, *(remaps if script == "toy_node.py" else ()))

    def asked(kind: str) -> set[str]:
        found = getattr(peer.node, f"get_{kind}_names_and_types_by_node")
        return {name for name, _ in found("prehend", "/")}

    def there() -> bool:
        known = ("prehend", "/") in peer.node.get_node_names_and_namespaces()
        return known and last in asked("subscriber")

    peer.until(there, "the node's topics")
    peer.until(lambda: len(asked("service")) > 12, "its services")

    def now() -> Names:
        return {
            "publish topics": asked("publisher"),
            "subscribe topics": asked("subscriber"),
            "reply services": asked("service"),
        }

    names, since = now(), time.monotonic()
    while time.monotonic() - since < QUIET_S:  # until nothing more is told
        peer.spin(0.1)
        if now() != names:
            names, since = now(), time.monotonic()
    node.terminate()
    node.wait(60)
    peer.until(lambda: ("prehend", "/") not in peer.node.get_node_names_and_namespaces(), "it is gone")
    return names


def agrees(enclave: str, *graphs: Names) -> None:
    """The policy allows what the nodes do together, and no more."""
    every = {what: set().union(*(graph[what] for graph in graphs)) for what in graphs[0]}
    policy = allowed(enclave)
    assert {what: policy[what] - NOT_EVERYWHERE for what in policy} == {
        what: every[what] - NOT_EVERYWHERE for what in every
    }


def test_the_policy_allows_what_the_node_does_and_no_more(peer, start):
    raw = (*ONE, f"depth_topic:={DEPTH}")
    compressed = (*ONE, f"depth_topic:={DEPTH}/compressedDepth", "image_transport:=compressed")
    agrees(
        "/prehend",
        made(peer, start, "toy_node.py", raw, "/camera/depth/camera_info"),
        made(peer, start, "toy_node.py", compressed, "/camera/depth/camera_info"),
    )


def test_the_policy_of_several_cameras_is_that_of_cameras_apart_and_of_a_rig(peer, start):
    compressed = (*RIG, "image_transport:=compressed")
    agrees(
        "/prehend_cameras",
        made(peer, start, "toy_rig.py", APART, "/left/image_raw"),
        made(peer, start, "toy_rig.py", compressed, "/left/image_raw/compressed"),
    )


@pytest.mark.parametrize(("reader", "node"), [("/hand_reader", "/prehend"), ("/cameras_reader", "/prehend_cameras")])
def test_who_reads_may_have_what_the_node_gives_and_publish_nothing(reader, node):
    gives, takes = allowed(node), allowed(reader)
    assert takes["subscribe topics"] <= gives["publish topics"]
    assert takes["request services"] <= gives["reply services"]
    assert takes["publish topics"] == {"/rosout", "/parameter_events"}


def test_the_documentation_names_every_enclave():
    told = (Path(__file__).parents[2] / "docs" / "ROS.md").read_text()
    for enclave in POLICY.iter("enclave"):
        assert f"`{enclave.get('path')}`" in told
