"""One cause for each silence."""

import pytest

from prehend.ros.graph import Facts, Publisher, cause
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE

CAMERA = Publisher("/driver", IMAGE)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts("/i", IMAGE), ["nobody publishes /i"]),
        (Facts("/i", IMAGE, twin="/i/compressed"), ["nobody", "image_transport:=compressed"]),
        (Facts("/i/compressed", COMPRESSED_IMAGE, twin="/i"), ["nobody", "image_transport:=raw"]),
        (Facts("/i", IMAGE, elsewhere=("/cam/a", "/cam/b")), ["/cam/a, /cam/b", "image_raw:="]),
        (Facts("/i", IMAGE, hint="remapped"), ["nobody publishes /i: remapped"]),
        (Facts("/i", IMAGE, (Publisher("/d", COMPRESSED_IMAGE),)), ["CompressedImage", "image_transport:=compressed"]),
        (Facts("/i", IMAGE, (Publisher("/d", CAMERA_INFO),)), ["CameraInfo", "another topic"]),
        (
            Facts("/i", IMAGE, (Publisher("/d", IMAGE, "is best effort (reliability)"),)),
            ["/d is best effort", "image_reliability:=best_effort"],
        ),
        (Facts("/i", IMAGE, (CAMERA,), received=True, silent_s=7), ["silent", "7 s", "/driver"]),
        (Facts("/i", IMAGE, (CAMERA,), sent=True, load=5.0), ["5 times"]),
        (Facts("/i", IMAGE, (CAMERA,), sent=True), ["get lost", "LARGE_DATA"]),
        (Facts("/i", IMAGE, (CAMERA,)), ["does /driver send", "LARGE_DATA"]),
    ],
)
def test_the_cause_is_named(facts, words):
    said = cause(facts)
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_one_publisher_that_fits_is_enough():
    both = (Publisher("/other", COMPRESSED_IMAGE), CAMERA, Publisher("/deaf", IMAGE, "is best effort"))
    assert "silent" in cause(Facts("/i", IMAGE, both, received=True, silent_s=3))
