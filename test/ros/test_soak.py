"""tools/soak.py on a few images, and what it calls growth."""

import pytest

soak = pytest.importorskip("soak")


def samples(rss, descriptors=(18, 18, 18), threads=(19, 19, 19)):
    places = (10, 50, 100)
    return [soak.Sample(*row) for row in zip(places, rss, descriptors, threads, strict=True)]


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (soak.Report(100, hands=5, samples=samples((100, 200, 215))), None),
        (soak.Report(100, hands=5, samples=samples((100, 200, 285))), "memory"),
        (soak.Report(100, hands=5, samples=samples((100, 200, 200), descriptors=(10, 18, 21))), "descriptors"),
        (soak.Report(100, hands=5, samples=samples((100, 200, 200), threads=(10, 18, 25))), "threads"),
        (soak.Report(100, hands=5, lost=1, samples=samples((100, 200, 200))), "lost"),
        (soak.Report(100, hands=0, samples=samples((100, 200, 200))), "no hand"),
    ],
)
def test_growth_and_losses_are_faults(report, word):
    faults = report.faults(100)
    assert faults == [] if word is None else word in faults[0]


def test_pictures_change_sizes_and_cameras():
    stream = soak.pictures(soak.CLIP, 0)
    seen = [next(stream) for _ in range(12 * soak.SEGMENT)]
    assert len({image.shape for image, _ in seen}) > 2
    assert len({K[0, 0] for _, K in seen}) > 5 and any(K[0, 0] == 0 for _, K in seen)


@pytest.mark.slow
def test_a_short_run_loses_nothing(domain, tmp_path, monkeypatch):
    pytest.importorskip("rclpy")
    monkeypatch.setattr(soak, "ANSWER_S", 120.0)  # lost is what never comes: this machine may be busy
    assert soak.main(["--frames", "60", "--json", str(tmp_path / "soak.json")]) == 0
    assert (tmp_path / "soak.json").is_file()
