"""What is said of hypotheses is what is true of them."""

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.pipeline.hypotheses.spread import ELLIPSOID
from prehend_training.evaluate.hypotheses import WITHIN, Looks, looks_at, report_of, table_of


def looks(count=400, std=0.01, said=0.01, seed=0, hidden=0.5):
    """Hands whose network errs by `std` about each axis and says `said`; hypotheses halve what is wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 0.05, (count, 21, 3))
    truth[:, 0] = 0
    error = rng.normal(0, std, truth.shape) * (np.arange(21) > 0)[:, None]
    seen = rng.random((count, 21)) > hidden
    covariance = np.broadcast_to(np.eye(3) * said**2, (count, 21, 3, 3)) * (np.arange(21) > 0)[:, None, None]
    best = np.linalg.norm(error, axis=2) / 4
    return Looks(np.arange(count), truth + error, truth + error / 2, truth, best, covariance, seen, seen)


def test_what_is_calibrated_is_found_so_and_what_is_not_is_scaled():
    report = report_of(looks())
    for name in ("seen", "hidden", "truly hidden"):
        assert report["within"][name] == pytest.approx(WITHIN, abs=0.02)
        assert report["within_of_others"][name] == pytest.approx(WITHIN, abs=0.02)
    assert report["scale"] == pytest.approx({"seen": 1.0, "hidden": 1.0}, abs=0.03)
    short = report_of(looks(said=0.005))
    assert short["scale"] == pytest.approx({"seen": 2.0, "hidden": 2.0}, abs=0.06)
    assert short["within"]["hidden"] < 0.3 and short["within_of_others"]["hidden"] == pytest.approx(WITHIN, abs=0.02)
    assert 1.8 < ELLIPSOID < 1.9


def test_errors_are_told_by_how_much_is_hidden():
    report = report_of(looks(200, hidden=0.3))
    row = report["errors_mm"]["all"]
    assert row["mean of hypotheses"] == pytest.approx(row["network"] / 2)
    assert row["nearest hypothesis"] == pytest.approx(row["network"] / 4)
    parts = [count["joints"] for name, count in report["errors_mm"].items() if name != "all"]
    assert sum(parts) == row["joints"] and len(parts) >= 2
    table = table_of(report)
    assert "| hidden |" in table and "| all |" in table and "| 25-50 % |" in table


def test_pictures_that_are_not_there_are_named():
    with pytest.raises(InvalidInput, match="images 5 to 14 of 8"):
        looks_at(None, [None] * 8, range(5, 15), 8)
