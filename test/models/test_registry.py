import json

import pytest
import torch
from torch import nn

from prehend.errors import UnknownName, WeightsMismatch
from prehend.models import registry
from prehend.models.stage import Stage, Staged


class TwoProducts(Staged):
    """A convolution and a matrix product whose costs one can count by hand."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Linear(4, 7, bias=False)

    def stages(self) -> dict[str, Stage]:
        return {
            "one": Stage("first", {"x": ("B", 3, 8, 8)}, {"y": ("B", 5, 8, 8)}),
            "two": Stage("second", {"x": ("B", 4)}, {"y": ("B", 7)}),
        }

    def first(self, x):
        return (self.conv(x),)

    def second(self, x):
        return (self.linear(x),)


def test_counts_are_those_by_hand() -> None:
    network = TwoProducts()
    counts = registry.count_gmac(network)
    assert counts["one"] == pytest.approx(3 * 5 * 9 * 64 / 1e9)
    assert counts["two"] == pytest.approx(28 / 1e9)
    assert registry.count_parameters(network) == 3 * 5 * 9 + 28
    assert network.conv.weight.device.type == "cpu"  # counting leaves the network as it is


@pytest.mark.parametrize(
    ("name", "gmac", "parameters_m"),
    [
        ("unihope-s", 0.8, 11.0),
        ("unihope-xs", 0.3, 8.0),
        ("detector", 0.3, 2.0),
        ("unihope-b", 12.0, 55.0),
        ("h2onet-s", 0.7, 8.0),
        ("h2onet-b", 0.85, 30.0),
    ],
)
def test_budgets(name: str, gmac: float, parameters_m: float) -> None:
    size = registry.describe(name)
    assert sum(size.gmac.values()) <= gmac
    assert size.parameters <= parameters_m * 1e6


def test_the_switch_saves_the_object_stage() -> None:
    """Without an object, a fifth and more of the work is not done."""
    gmac = registry.describe("unihope-s").gmac
    assert gmac["object"] > 0.2 * sum(gmac.values())


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_config_survives_the_manifest(name: str) -> None:
    config = registry.entry(name).config
    manifest = json.loads(json.dumps({"name": "w", "network": name, "config": registry.config_to_manifest(config)}))
    assert registry.config_from_manifest(manifest) == config


def test_foreign_config_is_refused() -> None:
    config = registry.config_to_manifest(registry.entry("finder").config)
    with pytest.raises(WeightsMismatch, match="depth"):
        registry.config_from_manifest({"name": "w", "network": "finder", "config": {**config, "depth": 3}})
    config.pop("head")
    with pytest.raises(WeightsMismatch, match="head"):
        registry.config_from_manifest({"name": "w", "network": "finder", "config": config})


def test_a_network_is_known_by_its_former_name() -> None:
    assert registry.entry("finder") is registry.entry("detector")


def test_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="unihope-s"):
        registry.create("unihope-xl")


def test_create_follows_the_seed() -> None:
    numbers = []
    for _ in range(2):
        torch.manual_seed(3)
        numbers.append(next(registry.create("detector").parameters()).detach().clone())
    assert torch.equal(*numbers)


def manifest_of(name: str, **changes) -> dict:
    numbers = json.loads(json.dumps(registry.config_to_manifest(registry.entry(name).config)))
    return {"name": "own", "network": name, "config": numbers | changes}


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_every_network_comes_back_from_its_manifest(name: str) -> None:
    with torch.device("meta"):
        network = registry.create_from_manifest(manifest_of(name))
    assert registry.count_parameters(network) == registry.describe(name).parameters


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokens": True}, "config.tokens is 'True' there"),
        ({"attention": {}}, "config.attention"),
        ({"channels": [64, "x", 16]}, "config.channels"),
        ({"channels": [64, 10**9, 16]}, "config.channels"),
        ({"levels": 0}, "config.levels"),
        ({"heads": [1]}, "config.heads"),
        ({"dropout": "much"}, "config.dropout"),
        ({"top": 50}, "makes no 'hhmr-xs'"),
        ({"channels": []}, "makes no 'hhmr-xs'"),
    ],
)
def test_a_manifest_whose_numbers_make_no_network_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(WeightsMismatch, match="weights 'own'") as caught:
        registry.create_from_manifest(manifest_of("hhmr-xs", **changes))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_of_another_size_than_its_manifest_says_is_refused() -> None:
    manifest = manifest_of("hhmr-xs") | {"parameters": 5}
    with pytest.raises(WeightsMismatch, match=r"have 5 parameters, their config makes \d+"):
        registry.create_from_manifest(manifest)
