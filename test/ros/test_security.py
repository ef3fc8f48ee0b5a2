"""The SROS2 policy against the graph that the real node makes."""

import time
import xml.etree.ElementTree as ET
from pathlib import Path

POLICY = ET.parse(Path(__file__).parents[2] / "config" / "sros2_policy.xml").getroot()
ALL = ("outputs:=joint_states,detections,hts", "target_frame:=base", "use_sim_time:=true")
DEPTH = "/camera/aligned_depth_to_color/image_raw"
NOT_EVERYWHERE = {"/prehend/get_type_description"}
"""Humble has no such service."""

QUIET_S = 2.0
Names = dict[str, set[str]]


def allowed(node: str) -> Names:
    """Full names by what may be done with them."""
    [profile] = POLICY.iterfind(f".//profile[@node='{node}'][@ns='/']")
    names: Names = {}
    for group in profile:
        for what, says in group.attrib.items():
            assert says == "ALLOW"
            full = [entry.text.replace("~", f"/{node}", 1) for entry in group]
            assert len(set(full)) == len(full)
            names[f"{what} {group.tag}"] = set(full)
    return names


def made(peer, start, transport: str) -> Names:
    """What a node that is started with everything switched on publishes, subscribes to and serves."""
    options = [
        part for name in (*ALL, f"depth_topic:={DEPTH}", f"image_transport:={transport}") for part in ("-p", name)
    ]
    remaps = ("-r", "image_raw:=/camera/image_raw", "-r", "camera_info:=/camera/camera_info")
    node = start("toy_node.py", "--ros-args", *options, *remaps)

    def asked(kind: str) -> set[str]:
        found = getattr(peer.node, f"get_{kind}_names_and_types_by_node")
        return {name for name, _ in found("prehend", "/")}

    def there() -> bool:
        known = ("prehend", "/") in peer.node.get_node_names_and_namespaces()
        return known and "/camera/camera_info" in asked("subscriber") and "/prehend/hands" in asked("publisher")

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


def test_the_policy_allows_what_the_node_does_and_no_more(peer, start):
    raw, compressed = made(peer, start, "raw"), made(peer, start, "compressed")
    both = {what: raw[what] | compressed[what] for what in raw}
    policy = allowed("prehend")
    assert {what: policy[what] - NOT_EVERYWHERE for what in policy} == {
        what: both[what] - NOT_EVERYWHERE for what in both
    }


def test_who_reads_may_have_what_the_node_gives_and_publish_nothing():
    node, reader = allowed("prehend"), allowed("hand_reader")
    assert reader["subscribe topics"] <= node["publish topics"]
    assert reader["request services"] <= node["reply services"]
    assert reader["publish topics"] == {"/rosout", "/parameter_events"}
    assert {enclave.get("path") for enclave in POLICY.iter("enclave")} == {"/prehend", "/hand_reader"}
