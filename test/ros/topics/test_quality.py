"""Quality of service from a parameter file, as the ROS graph sees it."""

import pytest
import yaml

from prehend.cli.main import main
from prehend.conventions import SIDES
from prehend.ros import messages as m


def params_file(tmp_path, overrides: dict, **parameters) -> str:
    file = tmp_path / "node.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {**parameters, "qos_overrides": overrides}}}))
    return str(file)


PUBLISHED = {
    "/prehend/hands": m.HAND_ARRAY,
    "/prehend/tracks": m.HAND_TRACKS,
    "/prehend/events": m.HAND_EVENT,
    "/prehend/timing": m.HAND_TIMING,
    "/prehend/hypotheses": m.HAND_HYPOTHESES,
    "/prehend/markers": m.MARKERS,
    "/prehend/overlay/compressed": m.COMPRESSED_IMAGE,
    "/prehend/model_info": m.MODEL_INFO,
    "/prehend/detections": m.DETECTIONS,
    **{f"/prehend/joint_states/{side}": m.JOINT_STATE for side in SIDES},
    **{f"/prehend/joint_poses/{side}": m.POSE_ARRAY for side in SIDES},
    **{f"/hands/{side}/wrist_pose": m.POSE_STAMPED for side in SIDES},
    **{f"/hands/{side}/landmarks": m.POSE_ARRAY for side in SIDES},
    "/hands/joint_names": m.STRING,
    "/tf": m.TF,
    "/diagnostics": m.DIAGNOSTICS,
}
HEARD = ("/cam/image", "/cam/camera_info", "/deep/image", "/deep/camera_info", "/tf", "/tf_static")
NOT_OURS = {"/rosout", "/parameter_events", "/prehend/transition_event", "/clock"}
"""What rclpy makes by itself."""


def test_a_parameter_file_overrides_every_topic(peer, start, tmp_path):
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    overrides = {topic: {"publisher": {"reliability": "best_effort", "depth": 3}} for topic in PUBLISHED}
    overrides["/prehend/hands"]["publisher"]["durability"] = "transient_local"
    for topic in HEARD:
        overrides.setdefault(topic, {})["subscription"] = {"reliability": "best_effort", "durability": "volatile"}
    overrides["/cam/image"]["subscription"] = {"reliability": "reliable"}
    file = params_file(
        tmp_path,
        overrides,
        outputs="detections, joint_states, joint_poses, hts",
        depth_topic="/deep/image",
        target_frame="base",
        hypotheses=8,
    )
    remaps = ("-r", "image_raw:=/cam/image")
    start("toy_node.py", "--ros-args", "--params-file", file, *remaps)
    node = peer.node
    peer.until(lambda: all(node.get_publishers_info_by_topic(topic) for topic in PUBLISHED), "what it publishes")
    peer.until(lambda: all(node.get_subscriptions_info_by_topic(topic) for topic in HEARD), "what it hears")
    peer.until(lambda: ("prehend", "/") in node.get_node_names_and_namespaces(), "its name")

    def listed(found, names) -> bool:  # which node has a topic is told apart from the topic, and later
        return {name for name, _ in found("prehend", "/")} - NOT_OURS == set(names)

    peer.until(lambda: listed(node.get_publisher_names_and_types_by_node, PUBLISHED), "every topic is looked at")
    peer.until(lambda: listed(node.get_subscriber_names_and_types_by_node, HEARD), "every topic is looked at")
    for topic in PUBLISHED:
        (own,) = node.get_publishers_info_by_topic(topic)
        assert own.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT, topic
    (hands,) = node.get_publishers_info_by_topic("/prehend/hands")
    assert hands.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    for topic in HEARD:
        (own,) = node.get_subscriptions_info_by_topic(topic)
        wanted = ReliabilityPolicy.RELIABLE if topic == "/cam/image" else ReliabilityPolicy.BEST_EFFORT
        assert own.qos_profile.reliability == wanted, topic
        assert own.qos_profile.durability == DurabilityPolicy.VOLATILE, topic


def test_without_overrides_qualities_are_those_of_the_documentation(peer, start):
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    start("toy_node.py")
    node = peer.node
    peer.until(lambda: node.get_subscriptions_info_by_topic("/image_raw"), "the node subscribes")
    told = ("/prehend/model_info", "/prehend/hands")
    peer.until(lambda: all(node.get_publishers_info_by_topic(topic) for topic in told), "the node publishes")
    (image,) = node.get_subscriptions_info_by_topic("/image_raw")
    (info,) = node.get_publishers_info_by_topic("/prehend/model_info")
    (hands,) = node.get_publishers_info_by_topic("/prehend/hands")
    assert image.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert hands.qos_profile.durability == DurabilityPolicy.VOLATILE
    assert hands.qos_profile.reliability == ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({"reliability": "perhaps"}, ["perhaps", "reliable, best_effort"]),
        ({"depth": 0}, ["depth is 0", "1 to"]),
        ({"depth": "five"}, ["five", "1 to"]),
        ({"history": 3}, ["history is 3", "keep_last, keep_all"]),
        ({"deadline": 1000}, ["deadline", "durability"]),
    ],
)
def test_an_override_that_is_none_ends_with_one_line(domain, capsys, tmp_path, policies, words):
    file = params_file(tmp_path, {"/image_raw": {"subscription": policies}})
    assert main(["node", "--ros-args", "--params-file", file]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prehend node: ")]
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines
    assert "qos_overrides./image_raw.subscription" in lines[0]


def test_overrides_of_topics_that_there_are_not_are_told(peer, start, tmp_path):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    file = params_file(tmp_path, {"/camera/image_raw": {"subscription": {"reliability": "reliable"}}})
    start("toy_node.py", "--ros-args", "--params-file", file)

    def message() -> str:
        return next(s.message for s in told[-1].status if s.name.endswith(": node")) if told else ""

    peer.until(lambda: "/camera/image_raw.subscription" in message(), "the override is told")
    assert "/image_raw.subscription" in message().split("it has")[1]
