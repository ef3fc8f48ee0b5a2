"""Who finds whom: the variables, and real participants of different ranges."""

import os

import cv2
import numpy as np
import pytest

from prehend.cli.main import main
from prehend.errors import ParameterError
from prehend.ros import messages as m
from prehend.ros.middleware.network import use_network

RANGE, PEERS, LOCALHOST = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS", "ROS_LOCALHOST_ONLY"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """As it was, afterwards."""
    for name in (RANGE, PEERS, LOCALHOST, "ROS_DISTRO"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def variables() -> dict[str, str]:
    return {name: os.environ[name] for name in (RANGE, PEERS, LOCALHOST) if name in os.environ}


def test_nothing_asked_changes_nothing(monkeypatch):
    monkeypatch.setenv(RANGE, "SYSTEM_DEFAULT")
    use_network(None)
    assert variables() == {RANGE: "SYSTEM_DEFAULT"}


def test_what_is_asked_wins_over_the_older_variable(monkeypatch):
    monkeypatch.setenv(LOCALHOST, "1")
    use_network("subnet", ["10.0.0.5", "robot.local"])
    assert variables() == {RANGE: "SUBNET", PEERS: "10.0.0.5;robot.local"}


def test_humble_has_its_own_variable_and_no_more(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "humble")
    for asked, value in (("localhost", "1"), ("subnet", "0")):
        use_network(asked)
        assert variables() == {LOCALHOST: value}
    for asked in (("off", []), (None, ["10.0.0.5"])):
        with pytest.raises(ParameterError, match="Humble"):
            use_network(*asked)


@pytest.mark.parametrize(
    ("asked", "said"), [(("off", ["a"]), "localhost with --peer"), ((None, ["a b"]), "one machine")]
)
def test_what_cannot_work_is_refused(asked, said):
    with pytest.raises(ParameterError, match=said):
        use_network(*asked)
    assert variables() == {}


def test_the_commands_refuse_it_in_one_line(domain, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))
    assert main(["play", str(tmp_path), "--discovery", "off", "--peer", "10.0.0.5"]) == 2
    assert main(["view", str(tmp_path), "--discovery", "localhost"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "ros:/TOPIC" in errors[1]


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))
    return tmp_path


def test_discovery_off_is_found_by_nobody(domain, monkeypatch, start, peer, folder):
    """Two players on one machine and in one domain: the one is found, the other is not."""
    received = {name: peer.listen(f"/{name}/image", m.IMAGE) for name in ("off", "near")}
    for name, asked in (("off", "off"), ("near", "localhost")):
        start(
            "prehend", "play", str(folder), "--topic", f"/{name}/image", "--loop", "--rate", "20", "--discovery", asked,
            "--wait", "0",
        )  # fmt: skip
    peer.until(lambda: len(received["near"]) > 40, "images of the player on this machine")
    assert received["off"] == []


def test_a_view_sees_what_its_range_allows(domain, monkeypatch, start, folder):
    from prehend.ros.inputs.source import RosTopic

    class Enough(Exception):
        pass

    def tell(error):
        raise Enough(str(error))

    monkeypatch.setattr("prehend.ros.inputs.source._PATIENCE_S", 4.0)
    start("prehend", "play", str(folder), "--topic", "/cam/image", "--loop", "--rate", "20", "--discovery", "localhost")
    use_network("localhost")
    with RosTopic("ros:/cam/image", on_error=lambda error: None) as source:
        assert next(iter(source)).image_rgb.shape == (48, 64, 3)
    use_network("off")
    with RosTopic("ros:/cam/image", on_error=tell) as source, pytest.raises(Enough, match="no image yet"):
        next(iter(source))
