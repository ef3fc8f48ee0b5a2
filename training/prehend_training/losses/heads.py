"""A network with auxiliary heads, which only training has; what is kept afterwards is `network`."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_JOINTS
from prehend.models.hand_object.outputs import Output
from prehend.models.hand_object.unihope import UniHOPE
from prehend.models.hand_object.unihope_lite import UniHOPELite
from prehend_training.data.batch import CropBatch
from prehend_training.losses.crop import DENSE_CHANNELS
from prehend_training.losses.pairs import AdaptationLayer, TwinConfig, twin_rows

Fusion = Literal["grasp-aware", "always"]
"""When the object's feature goes to the hand: where something is grasped (eq. 3), or always (HFL-Net)."""


class InTraining(nn.Module):
    """A network and what only its training has; what is kept afterwards is `network`."""

    def pretrained(self) -> list[nn.Parameter]:
        """What real images taught the network before, which learns more slowly than the rest; here nothing."""
        return []

    def compile_trunk(self) -> None:
        """Compile what takes the time; here nothing."""


def parameters_of(*parts: nn.Module) -> list[nn.Parameter]:
    """The parameters of several parts of a network."""
    return [parameter for part in parts for parameter in part.parameters()]


class CropAnswers(NamedTuple):
    """What training compares with labels.

    Attributes:
        output: of the images.
        read: what the layers of training read from the trunk, see `map_terms`.
        twin: output of the twins of `twin_rows`; None without pairs.
        twin_rows: (n,) rows of the batch.
    """

    output: Output
    read: dict[str, Tensor]
    twin: Output | None
    twin_rows: Tensor

    def in_full(self) -> "CropAnswers":
        """The same in float32: skinning and losses lose millimetres in half precision."""
        read = {name: value.float() for name, value in self.read.items()}
        twin = None if self.twin is None else in_full(self.twin)
        return CropAnswers(in_full(self.output), read, twin, self.twin_rows)


def in_full(output: Output) -> Output:
    """The same in float32."""

    def full(value: Tensor) -> Tensor:
        return value.float() if value.is_floating_point() else value

    encoded, hand = type(output.encoded)(*map(full, output.encoded)), type(output.hand)(*map(full, output.hand))
    thing = None if output.thing is None else type(output.thing)(*map(full, output.thing))
    kept = {name: full(value) for name, value in output._asdict().items() if isinstance(value, Tensor)}
    return output._replace(**kept, encoded=encoded, hand=hand, thing=thing)


class ModelWithHeads(InTraining):
    """A crop network and what is read from its trunk in training.

    Args:
        network: to train.
        fusion: when the object's feature goes to the hand.
        twins: how pairs are used; None not at all.
    """

    def __init__(self, network: UniHOPE, fusion: Fusion = "grasp-aware", twins: TwinConfig | None = None):
        super().__init__()
        self.network, self.fusion, self.twins = network, fusion, twins
        self.dense = nn.Conv2d(network.config.channels, DENSE_CHANNELS, 1)
        self.coarse = nn.Linear(network.streams.deep_channels, NUM_JOINTS * 3)
        nn.init.normal_(self.coarse.weight, std=1e-3)
        nn.init.zeros_(self.coarse.bias)
        self.mapper = None if twins is None else AdaptationLayer(network.config.code)

    def forward(self, batch: CropBatch) -> CropAnswers:
        """Images and twins in one pass, so that they share the statistics of the normalisation."""
        count = len(batch["image"])
        rows = twin_rows(batch) if self.twins is not None else torch.empty(0, dtype=torch.long)
        told = batch["grasp_gate"] if self.fusion == "grasp-aware" else torch.ones_like(batch["grasp_gate"])
        inputs = {name: batch[name] for name in ("image", "hand_box", "object_box")} | {"told": told}
        inputs |= self.described(batch)
        if len(rows):
            twins = {"image": batch["image_deoccluded"][rows], "told": torch.zeros_like(told[rows])}
            more = {name: twins.get(name, value[rows]) for name, value in inputs.items()}
            inputs = {name: torch.cat([value, more[name]]) for name, value in inputs.items()}
            inputs["image"] = inputs["image"].contiguous(memory_format=torch.channels_last)
        told = inputs["told"]
        both = self.network(
            inputs["image"], inputs["hand_box"], inputs["object_box"], told[:, None], told > 0.5, inputs.get("kind")
        )
        output = part_of(both, 0, count)
        twin = part_of(both, count, count + len(rows)) if len(rows) else None
        return CropAnswers(output, self.read(output.encoded.hand_map, output.deep), twin, rows)

    def described(self, batch: CropBatch) -> dict[str, Tensor]:
        """What the network is told of the objects, by the name of its input; here nothing."""
        return {}

    def compile_trunk(self) -> None:
        """See `InTraining`."""
        self.network.streams.compile()  # type: ignore[operator]

    def read(self, hand_map: Tensor, deep: Tensor) -> dict[str, Tensor]:
        """(B, C, S / 4, S / 4), (B, Cd, h, w) -> see `map_terms`."""
        coarse = self.coarse(deep.mean((2, 3))).unflatten(1, (NUM_JOINTS, 3))
        return {"dense": self.dense(hand_map), "coarse": coarse}

    def encode(self, image: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """The first stage alone, and what is read from it."""
        encoded, streams = self.network.encode_streams(image)
        return encoded, self.read(encoded.hand_map, streams.deep)

    def keep_maps_only(self) -> None:
        """Let only be trained what leads to `read` and the switcher's answers."""
        size = self.network.config.size
        self.eval()  # the statistics shall not see this image
        encoded, read = self.encode(torch.zeros(1, 3, size, size))
        logits = encoded.grasp_logit + encoded.presence_logit + encoded.side_logit
        (logits.sum() + sum(value.sum() for value in read.values())).backward()
        self.train()
        for parameter in self.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None

    def keep_pose_head_only(self) -> None:
        """Let only the pose head be trained."""
        self.requires_grad_(False)
        head = self.network.mano_head
        head.requires_grad_(True)
        # nothing in skeletons says which joints are seen
        head.visibility.requires_grad_(False)


class LiteModelWithHeads(ModelWithHeads):
    """A `UniHOPELite` with a layer that reads segments and heatmaps from the hand map.

    Args:
        network: to train.
        fusion: when the object's feature goes to the hand.
        code_dropout: share of the rows whose code the pose head is not given.
    """

    def __init__(self, network: UniHOPELite, fusion: Fusion = "grasp-aware", code_dropout: float = 0.0):
        super().__init__(network, fusion)
        del self.coarse
        self.network: UniHOPELite = network
        network.code_dropout = code_dropout

    def train(self, mode: bool = True) -> "LiteModelWithHeads":
        """As of a module; layers that are not trained keep their statistics of normalisation too."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def pretrained(self) -> list[nn.Parameter]:
        """See `InTraining`: the trunk with its answers, and the object stream's copy of it."""
        streams, switcher = self.network.streams, self.network.switcher
        return parameters_of(
            streams.trunk, streams.object_middle, self.network.places, switcher.presence, switcher.side
        )

    def described(self, batch: CropBatch) -> dict[str, Tensor]:
        """See `ModelWithHeads`."""
        return {"kind": batch["object_kind"]} if "object_kind" in batch else {}

    def read(self, hand_map: Tensor, deep: Tensor) -> dict[str, Tensor]:
        """See `ModelWithHeads`; rendered hands would teach the pretrained trunk a depth that real ones have not."""
        nothing = hand_map.new_zeros(len(hand_map), NUM_JOINTS, 3)
        return {"dense": self.dense(hand_map), "coarse": nothing}


def part_of(output: Output, start: int, stop: int) -> Output:
    """Rows [start, stop) of an output."""

    def cut(value: Tensor) -> Tensor:
        return value[start:stop]

    inside = (output.object_rows >= start) & (output.object_rows < stop)
    return Output(
        type(output.encoded)(*map(cut, output.encoded)),
        type(output.hand)(*map(cut, output.hand)),
        output.object_points[inside],
        output.object_rows[inside] - start,
        cut(output.initial),
        cut(output.deep),
        cut(output.hand_roi),
        cut(output.heatmaps),
        None if output.thing is None else type(output.thing)(*(value[inside] for value in output.thing)),
        None if output.object_cells is None else output.object_cells[inside],
    )
