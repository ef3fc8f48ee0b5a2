"""The noise of the diffusion: `diffusers`' schedulers with the numbers that networks here are trained with."""

from typing import Any

from prehend.errors import MissingDependency
from prehend.models.meshes.hhmr import TIMES


def schedule(steps: int | None = None) -> Any:
    """The schedule of DDPM (Ho et al., NeurIPS 2020), sampled by DDIM (Song et al., ICLR 2021).

    Its end is noisier than images need, and that is right here: a bone is told by a hundred vertices at once, so that
    its place shows through much more noise than a vertex' own.

    Args:
        steps: of sampling; None for training, which only adds noise.

    Returns:
        A `diffusers.DDIMScheduler` for networks that answer with the clean sample.

    Raises:
        MissingDependency: there is no `diffusers`.
    """
    try:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    except ImportError as error:
        raise MissingDependency("diffusers", "prior", "the prior for hands") from error
    found = DDIMScheduler(
        num_train_timesteps=TIMES,
        beta_schedule="linear",
        beta_start=1e-4,
        beta_end=0.02,
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="trailing",  # the first step sees as much noise as training's last
    )
    if steps is not None:
        found.set_timesteps(steps)
    return found
