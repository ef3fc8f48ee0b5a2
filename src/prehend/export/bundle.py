"""Writing weights: numbers, graphs and manifest in one folder."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.torch_ import TorchBackend
from prehend.conventions import JOINT_NAMES
from prehend.errors import InvalidInput, WeightsMismatch
from prehend.export.onnx import export_stage, initializer_names
from prehend.export.parity import check_parity
from prehend.files import replace_file, replace_text
from prehend.models.registry import config_to_manifest, count_gmac, count_parameters, entry
from prehend.models.stage import Shape, Stage, Staged
from prehend.weights import MANIFEST, SCHEMA, WEIGHTS, Bundle, file_sha256, load_bundle, manifest_text

NOT_STORED = "num_batches_tracked"
"""Last part of the names of numbers that only training counts."""

DType = Literal["float16", "float32"]


def save_bundle(
    network: Staged, folder: Path, network_name: str, extras: Mapping[str, Any], dtype: DType = "float16"
) -> Bundle:
    """Write weights, read them back, and see that both backends get the same answers from them.

    Args:
        network: trained; is left as it is.
        folder: is made; its name is the name of the weights.
        network_name: the network's name in the registry.
        extras: further entries of the manifest: hand_model, preset, trained_on, seed, commit, started_from,
            samples_seen, measured, licence.
        dtype: what matrices and kernels are stored as; vectors stay float32, they are few and scale everything else.

    Raises:
        UnknownName: there is no network of that name.
        InvalidInput: `extras` has an entry that is written here.
        WeightsMismatch: the network is not of that name, a number is not finite or does not fit into `dtype`, or the
            backends differ (see `parity`).
        OutputError: a file cannot be written.
    """
    kind = type(entry(network_name).config)
    if not isinstance(network.config, kind):
        raise WeightsMismatch(f"a network with a {type(network.config).__name__} is no '{network_name}'")
    network = copy.deepcopy(network).cpu().eval()
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / WEIGHTS, save(_stored(network, dtype)))
    manifest = {
        "schema": SCHEMA,
        "name": folder.name,
        "network": network_name,
        "config": config_to_manifest(network.config),
        "input": _input(network),
        "joint_order": list(JOINT_NAMES),
        "hand_side": "right",
        "parameters": count_parameters(network),
        "gmac": count_gmac(network),
        "weights": {"file": WEIGHTS, "sha256": file_sha256(folder / WEIGHTS), "dtype": dtype},
        "stages": {
            name: _write_stage(network, stage, folder / f"{name}.onnx") for name, stage in network.stages().items()
        },
    }
    if clash := manifest.keys() & extras.keys():
        raise InvalidInput(f"extras may not set {', '.join(sorted(clash))}")
    replace_text(folder / MANIFEST, manifest_text({**manifest, **extras}))
    bundle = load_bundle(folder)
    check_parity(TorchBackend(bundle), OnnxBackend(bundle))
    return bundle


def _input(network: Staged) -> dict[str, Any]:
    """The size of what goes in; of a network that looks at images, their colours, too."""
    size = {"size": network.config.size}
    looks = any("image" in stage.inputs for stage in network.stages().values())
    return size | {"colour": "RGB", "range": [0, 1]} if looks else size


def _stored(network: nn.Module, dtype: DType) -> dict[str, Tensor]:
    """The numbers to write, by name."""
    kind = getattr(torch, dtype)
    stored = {}
    for name, tensor in network.state_dict().items():
        if name.endswith(NOT_STORED):
            continue
        stored[name] = tensor.to(kind if tensor.dim() > 1 else torch.float32).contiguous()
        if not stored[name].isfinite().all():
            raise WeightsMismatch(f"'{name}' holds values that are not finite as {dtype}: train again or store float32")
    return stored


def _write_stage(network: Staged, stage: Stage, path: Path) -> dict[str, Any]:
    """Write a graph; its entry in the manifest."""
    model = export_stage(network, stage, WEIGHTS)
    replace_file(path, model.SerializeToString())
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "inputs": _specs(stage.inputs),
        "outputs": _specs(stage.outputs),
        "initializers": initializer_names(model),
    }


def _specs(arrays: Mapping[str, Shape]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": list(shape)} for name, shape in arrays.items()]
