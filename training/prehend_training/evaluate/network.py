"""What is measured: the averaged weights of a run, or weights by name or folder, behind one interface."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from prehend.backends import Backend, open_backend
from prehend.backends.base import Array, ordered_inputs
from prehend.errors import AssetError
from prehend.files import replace_text
from prehend.hand_model.asset import load_hand_model
from prehend.models.registry import config_to_manifest
from prehend.models.stage import Shape, Staged
from prehend.pipeline.detection.detect import is_detector
from prehend.pipeline.networks.through_time import DECODE, FUSE
from prehend.weights import Bundle, StageFile, TensorSpec, file_sha256, load_bundle
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.preset import Preset
from prehend_training.train.presets import preset_of_run

RUN_NOTE = "run.json"


class RunBackend:
    """The averaged weights of a run as a backend, without exporting them; see `prehend.backends.base.Backend`.

    Args:
        run: folder of the run.

    Raises:
        AssetError: the run has no weights yet.
    """

    name = "run"
    notes: tuple[str, ...] = ()

    def __init__(self, run: Path):
        weights = run / "checkpoint" / "averaged.safetensors"
        if not weights.exists():
            raise AssetError(f"{run} has no checkpoint: train it first")
        chosen = run_preset(run)
        network = chosen.build()
        load_result(weights, network)
        self._network: Staged = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stages = self._network.stages()
        hand = load_hand_model()
        stages = {
            name: StageFile(weights, _specs(stage.inputs), _specs(stage.outputs), ())
            for name, stage in self._stages.items()
        }
        manifest = {
            "hand_model": {"name": hand.name, "sha256": hand.sha256},
            "config": config_to_manifest(self._network.config),
        }
        self.bundle = Bundle(run.resolve().name, chosen.network, run, stages, file_sha256(weights), manifest)

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`."""
        arrays = ordered_inputs(self.bundle, stage, inputs)
        with torch.inference_mode():
            answers = getattr(self._network, self._stages[stage].method)(*map(torch.from_numpy, arrays))
        names = self._stages[stage].outputs
        return {name: answer.contiguous().numpy() for name, answer in zip(names, answers, strict=True)}

    def close(self) -> None:
        """Let go of the network."""
        del self._network


def run_preset(run: Path) -> Preset:
    """The preset of a run."""
    return preset_of_run(run)


def _specs(arrays: Mapping[str, Shape]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name, tuple(shape)) for name, shape in arrays.items())


@dataclass(frozen=True)
class Measured:
    """A network that is to be measured.

    Attributes:
        backend: runs it.
        run: folder of its run, None for weights that are no run's.
        always_fuses: whether the object's feature goes to the hand whatever the switcher says, as in training.
    """

    backend: Backend
    run: Path | None
    always_fuses: bool = False

    @property
    def is_detector(self) -> bool:
        """Whether it finds hands in whole images instead of looking at crops."""
        return is_detector(self.backend.bundle)

    @property
    def sees_through_time(self) -> bool:
        """Whether it answers with a mesh from several frames (`h2onet`)."""
        return DECODE in self.backend.bundle.stages

    @property
    def fuses(self) -> bool:
        """Whether it answers with a pose from several frames (`unihope-s-time`)."""
        return FUSE in self.backend.bundle.stages

    def answering(self) -> Backend:
        """The weights whose answers of single frames are fused: those that a run learnt on, otherwise its own."""
        answering = None if self.run is None else run_preset(self.run).answering
        return self.backend if answering is None else open_backend("onnx", load_bundle(answering))

    @property
    def sees_views(self) -> bool:
        """Whether it is one of SiMA-Hand's: of one view of a moment, or of several."""
        return not {"reconstruct", "fuse"}.isdisjoint(self.backend.bundle.stages)

    def describe(self) -> dict[str, Any]:
        """Name, network and weights, for a report."""
        bundle = self.backend.bundle
        return {"name": bundle.name, "network": bundle.network, "weights_sha256": bundle.weights_sha256}


def open_measured(what: str | Path) -> Measured:
    """Open what is to be measured.

    Args:
        what: a run's folder, the name of shipped weights, or a folder of exported weights.

    Raises:
        AssetError: the run has no weights, or a file is missing or broken.
        UnknownName: there is no such folder or name.
    """
    folder = Path(what)
    if (folder / RUN_NOTE).exists():
        return Measured(RunBackend(folder), folder, run_preset(folder).always_fuses)
    return Measured(open_backend("onnx", load_bundle(what)), None)


def note_measured(run: Path, summary: dict[str, Any]) -> None:
    """Write RUN/measured.json, which `prehend-train export` puts into the manifest."""
    replace_text(run / "measured.json", json.dumps(summary, indent=1) + "\n")
