"""One cause for each silence."""

import pytest

from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from prehend.ros.topics.graph import Publisher, SubscriptionFacts, cause, deaf, discovery_range, loss, mixed, unseen

RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
CAMERA = Publisher("/driver", IMAGE)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (SubscriptionFacts("/i", IMAGE), ["nobody publishes /i"]),
        (SubscriptionFacts("/i", IMAGE, twin="/i/compressed"), ["nobody", "image_transport:=compressed"]),
        (SubscriptionFacts("/i/compressed", COMPRESSED_IMAGE, twin="/i"), ["nobody", "image_transport:=raw"]),
        (SubscriptionFacts("/i", IMAGE, elsewhere=("/cam/a", "/cam/b")), ["/cam/a, /cam/b", "image_raw:="]),
        (SubscriptionFacts("/i", IMAGE, hint="remapped"), ["nobody publishes /i: remapped"]),
        (
            SubscriptionFacts("/i", IMAGE, (Publisher("/d", COMPRESSED_IMAGE),)),
            ["CompressedImage", "image_transport:=compressed"],
        ),
        (SubscriptionFacts("/i", IMAGE, (Publisher("/d", CAMERA_INFO),)), ["CameraInfo", "another topic"]),
        (
            SubscriptionFacts("/i", IMAGE, (Publisher("/d", IMAGE, "is best effort (reliability)"),)),
            ["/d is best effort", "image_reliability:=best_effort"],
        ),
        (SubscriptionFacts("/i", IMAGE, (CAMERA,), received=True, silent_s=7), ["silent", "7 s", "/driver"]),
        (SubscriptionFacts("/i", IMAGE, (CAMERA,), sent=True, load=5.0), ["5 times"]),
        (SubscriptionFacts("/i", IMAGE, (CAMERA,), sent=True), ["get lost", "fastdds.xml"]),
        (SubscriptionFacts("/i", IMAGE, (CAMERA,)), ["does /driver send", "fastdds.xml"]),
    ],
)
def test_the_cause_is_named(facts, words):
    said = cause(facts)
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_one_publisher_that_fits_is_enough():
    both = (Publisher("/other", COMPRESSED_IMAGE), CAMERA, Publisher("/deaf", IMAGE, "is best effort"))
    assert "silent" in cause(SubscriptionFacts("/i", IMAGE, both, received=True, silent_s=3))


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Nothing chosen."""
    for name in (RANGE, "ROS_LOCALHOST_ONLY", "FASTDDS_BUILTIN_TRANSPORTS", "ROS_DISCOVERY_SERVER"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_what_is_known_of_the_graph_comes_before_what_the_network_may_hide(monkeypatch):
    """A twin, another topic or a driver that was heard before are facts; the transport is not asked for then."""
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    hidden = unseen(62, [])
    assert "LARGE_DATA" in hidden
    for known, word in (({"twin": "/i/compressed"}, "compressed"), ({"elsewhere": ("/cam",)}, "/cam")):
        said = cause(SubscriptionFacts("/i", IMAGE, unseen=hidden, **known))
        assert word in said and "LARGE_DATA" not in said
    said = cause(SubscriptionFacts("/i", IMAGE, unseen=hidden, received=True))
    assert "nobody publishes /i any more" in said and "LARGE_DATA" not in said


def test_a_driver_in_another_domain_is_the_cause_and_the_transport_is_not(monkeypatch):
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    said = cause(SubscriptionFacts("/i", IMAGE, unseen=unseen(62, [0, 63])))
    assert "nobody publishes /i: ROS_DOMAIN_ID is 62 here, others on this machine have 0, 63" in said
    assert "LARGE_DATA" not in said


def test_where_nothing_is_known_the_driver_is_asked_for_and_what_it_must_have_alike(monkeypatch):
    said = unseen(62, [])
    assert "does its driver run, with ROS_DOMAIN_ID 62 and discovery range SUBNET" in said and "LARGE_DATA" not in said
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    assert "On another machine it needs FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA" in unseen(62, [])
    monkeypatch.setenv(RANGE, "LOCALHOST")
    assert "LARGE_DATA" not in unseen(62, []), "other machines are not looked for"


@pytest.mark.parametrize(
    ("chosen", "older", "expected"),
    [
        (None, None, "SUBNET"),
        ("SYSTEM_DEFAULT", None, "SUBNET"),
        ("localhost", None, "LOCALHOST"),
        ("OFF", None, "OFF"),
        ("OFF", "1", "LOCALHOST"),
        ("OFF", "0", "OFF"),
    ],
)
def test_the_range_is_read_as_rmw_reads_it(monkeypatch, chosen, older, expected):
    for name, value in ((RANGE, chosen), ("ROS_LOCALHOST_ONLY", older)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert discovery_range() == expected and bool(deaf()) == (expected == "OFF")


def test_discovery_that_is_off_is_the_cause_of_every_silence(monkeypatch):
    monkeypatch.setenv(RANGE, "OFF")
    for facts in (
        SubscriptionFacts("/i", IMAGE, hint="remapped"),
        SubscriptionFacts("/i", IMAGE, unseen=unseen(62, [63])),
    ):
        assert cause(facts) == f"nobody publishes /i: {RANGE} is OFF: nobody is found; set LOCALHOST or SUBNET"


VGA = 640 * 480 * 3


@pytest.mark.parametrize(
    ("lost", "received", "size", "load", "words"),
    [
        (7, 3, VGA, 0.1, ["7 of 10", "0.9 MB", "0.5 MB", "fastdds.xml"]),
        (7, 3, VGA, 9.0, ["0.9 MB", "fastdds.xml"]),
        (7, 3, 100_000, 3.0, ["7 of 10", "3.0 times", "reliable"]),
        (7, 3, 100_000, 0.5, ["7 of 10", "reliable"]),
        (1, 29, VGA, 0.1, []),
        (0, 0, 0, 0.1, []),
    ],
)
def test_losses_have_a_cause_and_a_cure(lost, received, size, load, words):
    said = loss(lost, received, size, load)
    assert bool(said) == bool(words)
    assert all(word in said for word in words), said


def test_reliable_images_that_get_lost_have_another_cause():
    """Nobody is told to do what is done already; a larger segment does not help."""
    said = loss(5, 5, 921_600, 3.0, reliable=True)
    assert "5 of 10 images" in said and "queue was full" in said and "3.0 times" in said
    assert "image_reliability" not in said and "fastdds" not in said
    assert loss(0, 30, 921_600, 0.5, reliable=True) == ""


def test_a_discovery_server_is_told_to_hide_everybody(monkeypatch):
    monkeypatch.setenv("ROS_DISCOVERY_SERVER", "10.255.255.1:11811")
    assert "ROS_DISCOVERY_SERVER is 10.255.255.1:11811" in cause(SubscriptionFacts("/i", IMAGE, unseen=unseen(0, [5])))


def test_several_publishers_of_the_images_are_told():
    """A driver and a player of a bag: their images come as one camera's."""
    assert mixed("/i", (CAMERA,)) == mixed("/i", ()) == ""
    said = mixed("/i", (CAMERA, Publisher("/player", IMAGE)))
    assert "2 publish /i (/driver, /player)" in said and "mixed" in said
