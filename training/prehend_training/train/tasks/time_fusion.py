"""Training of what several frames add to `unihope-s`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor, nn

from prehend.backends import open_backend
from prehend.backends.torch_ import load_network
from prehend.errors import AssetError, InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.models.hand_object.time_fusion import LITE_TIME, UniHOPETime, UniHOPETimeConfig, build_unihope_time
from prehend.weights import load_bundle
from prehend_training.data.base import BatchSource
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource
from prehend_training.fusion.answers import FOLLOWED_VIEW, answers_of, together
from prehend_training.fusion.windows import FusionDataConfig, FusionWindows
from prehend_training.losses.crop import SampledHand, Terms
from prehend_training.losses.h2onet import FusionLossWeights, fusion_terms
from prehend_training.train.loop.preset import Optimisation, Preset, Teacher


@dataclass(frozen=True)
class TimePreset(Preset):
    """Training of what several frames add to `unihope-s`, on the answers of weights that stay as they are.

    Attributes:
        data: of which weights, and how windows are drawn.
    """

    name: str
    network: str
    config: UniHOPETimeConfig = LITE_TIME
    data: FusionDataConfig = field(default_factory=FusionDataConfig)
    loss: FusionLossWeights = field(default_factory=FusionLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    pictures: ClassVar[Literal["crops", "frames"]] = "crops"

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        return "what several frames add", f"sequences; the weights '{self.data.weights}' answer for their frames"

    @property
    def answering(self) -> str:
        """See `Preset`."""
        return self.data.weights

    def build(self) -> UniHOPETime:
        """See `Preset`."""
        return build_unihope_time(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "TimeTask":
        """See `Preset`."""
        if memory is not None or teacher is not None:
            raise InvalidInput(f"'{self.name}' learns from a network's answers, and without a teacher")
        return TimeTask(self, data)


class FusionOnly(nn.Module):
    """A `UniHOPETime` of which only the fusion learns; what is kept is `network`."""

    starts_with = "network.time."
    """All that it takes of a run to start from, see `checkpoint.load_start`: the rest belongs to the weights that
    answered."""

    def __init__(self, network: UniHOPETime):
        super().__init__()
        self.network = network
        network.requires_grad_(False)
        network.time.requires_grad_(True)

    def train(self, mode: bool = True) -> "FusionOnly":
        """As of torch; what is frozen keeps its statistics."""
        super().train(mode)
        self.network.eval()
        self.network.time.train(mode)
        return self


class TimeTask:
    """Training of the fusion on folders of rendered sequences; see `H2ONetTask`."""

    def __init__(self, preset: TimePreset, data: DataSource):
        self.preset: Preset = preset
        self.memory: Memory | None = None
        self._chosen, chosen = preset, preset.data
        if isinstance(data, str) or not isinstance(data, Sequence):
            raise AssetError(f"'{preset.name}' learns from folders of `scenes --kind sequences`")
        self._bundle = load_bundle(chosen.weights)
        slope = self._bundle.manifest["config"].get("slope", 0.0)
        if slope != preset.config.slope:
            raise InvalidInput(
                f"weights '{self._bundle.name}' have rectifiers of slope {slope:g} below zero, '{preset.name}' of "
                f"{preset.config.slope:g}: give it weights that were trained by this version"
            )
        backend = open_backend("onnx", self._bundle)
        made = [answers_of(backend, Path(one), FOLLOWED_VIEW, seed) for one in data for seed in range(chosen.draws)]
        self.source: BatchSource = FusionWindows(together(made), chosen, preset.seed, preset.optimisation.batch_size)
        self._hand = SampledHand(load_hand_model(), count=0)  # joints alone: ten times as fast

    def network(self) -> FusionOnly:
        """The network with the weights that answered, and a fresh fusion."""
        network = self._chosen.build()
        loaded = load_network(self._bundle).state_dict()  # its own fusion may be of another kind
        taken = {name: value for name, value in loaded.items() if not name.startswith("time.")}
        here_only = {name: value for name, value in network.state_dict().items() if name.startswith("time.")}
        try:
            network.load_state_dict(taken | here_only)
        except RuntimeError as error:
            raise AssetError(f"weights '{self._bundle.name}' are not of unihope-s: {error}") from error
        return FusionOnly(network)

    def terms(self, network: nn.Module, batch: Mapping[str, Tensor], used: float) -> Terms:
        """Terms of the pose, see `losses.h2onet.fusion_terms`."""
        assert isinstance(network, FusionOnly)
        window = [batch[name] for name in network.network.stages()["fuse_frames"].inputs]
        fused = network.network.fuse(*window)
        return fusion_terms(fused, batch, self._hand.to(window[0].device))
