"""One cause for each silence."""

import pytest

from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from prehend.ros.topics.graph import Publisher, SubscriptionFacts, cause, loss, mixed

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


def test_large_data_is_told_to_hide_drivers(monkeypatch):
    monkeypatch.delenv("FASTDDS_BUILTIN_TRANSPORTS", raising=False)
    assert cause(SubscriptionFacts("/i", IMAGE)) == "nobody publishes /i"
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    assert "LARGE_DATA hides drivers" in cause(SubscriptionFacts("/i", IMAGE))


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


def test_a_discovery_server_is_told_to_hide_everybody(monkeypatch):
    monkeypatch.setenv("ROS_DISCOVERY_SERVER", "10.255.255.1:11811")
    assert "ROS_DISCOVERY_SERVER is 10.255.255.1:11811" in cause(SubscriptionFacts("/i", IMAGE))


def test_several_publishers_of_the_images_are_told():
    """A driver and a player of a bag: their images come as one camera's."""
    assert mixed("/i", (CAMERA,)) == mixed("/i", ()) == ""
    said = mixed("/i", (CAMERA, Publisher("/player", IMAGE)))
    assert "2 publish /i (/driver, /player)" in said and "mixed" in said
