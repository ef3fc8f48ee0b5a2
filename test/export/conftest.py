from pathlib import Path

import pytest
import torch

from prehend.export.bundle import save_bundle
from prehend.models import registry
from prehend.models.stage import Staged
from prehend.weights import Bundle

EXTRAS = {"licence": "none", "trained_on": "nothing", "seed": 0}


def lively(network: Staged) -> Staged:
    """Statistics and offsets unlike those of a fresh network, so that nothing cancels."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.7, 1.3),
                (module.bias, -0.3, 0.3),
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
            ):
                tensor.data.uniform_(low, high, generator=generator)
    return network


@pytest.fixture(scope="session", params=["unihope-s", "detector"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Random weights of each network, written and read."""
    torch.manual_seed(0)
    network = lively(registry.create(request.param))
    folder: Path = tmp_path_factory.mktemp("weights") / request.param
    return save_bundle(network, folder, request.param, EXTRAS)
