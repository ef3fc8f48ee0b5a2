"""What hands look like, as a diffusion model: sampling it, alone or given what is known of a hand.

This is the one place outside of the networks where torch thinks: a sampler runs its network dozens of times on batches
of hypotheses, and steps between are linear algebra on the same tensors.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from prehend.errors import MissingDependency

if TYPE_CHECKING:
    from prehend.prior.sampler import HandPrior

DEFAULT_PRIOR = "hhmr-xs"


def open_prior(weights: str | Path = DEFAULT_PRIOR, hand_model: Path | None = None) -> "HandPrior":
    """A diffusion on hand meshes that can be asked; see `prehend.prior.sampler.HandPrior`.

    Args:
        weights: name or folder of weights of an HHMR.
        hand_model: file of the hand model that they were trained with; None for the shipped one.

    Raises:
        MissingDependency: there is no torch or no `diffusers`.
        UnknownName, AssetError, WeightsMismatch: see `HandPrior`.
    """
    try:
        from prehend.hand_model.asset import load_hand_model
        from prehend.prior.sampler import HandPrior
    except ImportError as error:
        raise MissingDependency(str(error.name), "prior", "the prior for hands") from error
    return HandPrior.of_weights(weights, None if hand_model is None else load_hand_model(hand_model))
