import numpy as np
import pytest

from prehend.errors import AssetError
from prehend.pipeline.load import load_estimator
from prehend.pipeline.networks.uncertainty import SAID_M
from prehend_training.evaluate.films.spread import DELAYS_S, Errors, fitted, spread_on

RNG = np.random.default_rng(0)


def made(
    films: int = 8, rows: int = 3000, spread_m: float = 0.02, power: float = 0.8, drift_m_s: float = 0.1
) -> Errors:
    """Errors of a network that is as sure as it says: .68 of them within `spread_m` at `SAID_M`."""
    said = SAID_M * np.exp(RNG.normal(0, 0.5, films * rows))
    off = spread_m * (said / SAID_M) ** power * np.exp(RNG.normal(-0.4677 * 0.5, 0.5, len(said)))
    kinds = np.arange(len(said)) % 3
    far = [np.quantile(off[kinds == kind], 0.68) for kind in range(3)]
    carried = {d: [np.full(100, np.hypot(q, drift_m_s * d)) for q in far] for d in DELAYS_S}
    return Errors(np.repeat(np.arange(films), rows), kinds, RNG.random(len(said)) < 0.6, said, off, carried)


def test_it_finds_what_was_put_in() -> None:
    told = fitted(made())
    for rows in told["spread"].values():
        for spread_m, power in rows:
            assert spread_m == pytest.approx(0.02, rel=0.06)
            assert power == pytest.approx(0.8, abs=0.1)
    np.testing.assert_allclose(told["drift_m_s"], 0.1, rtol=0.02)


def test_of_the_errors_the_right_share_lies_within_one_on_other_films_too() -> None:
    told = fitted(made())
    for shares in (told["within"], told["within_of_other_films"]):
        assert shares.keys() == {"seen", "hidden"}
        assert all(abs(share - 0.68) < 0.02 for share in shares.values())


def test_films_without_a_hand_that_is_found_are_refused(films) -> None:
    with load_estimator(threads=1, min_score=0.99) as estimator, pytest.raises(AssetError, match="no hand was found"):
        spread_on(estimator, [films])
