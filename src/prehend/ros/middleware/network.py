"""Which machines DDS talks to: options of the commands, as the environment variables that rmw reads when it starts.

ROS 2 since Iron has ROS_AUTOMATIC_DISCOVERY_RANGE and ROS_STATIC_PEERS, Humble has ROS_LOCALHOST_ONLY alone.
"""

import argparse
import os
from collections.abc import Sequence

from prehend.errors import ParameterError

RANGES = ("localhost", "subnet", "off")
_RANGE, _PEERS, _LOCALHOST = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS", "ROS_LOCALHOST_ONLY"


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """`--discovery` and `--peer`, which `use_network` takes."""
    parser.add_argument(
        "--discovery",
        choices=RANGES,
        help="ROS nodes that are found by themselves: on this machine, on the network, or none (default: as the "
        f"environment says, {_RANGE}; else subnet)",
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="machine whose ROS nodes are talked to besides; may be given several times",
    )


def use_network(discovery: str | None, peers: Sequence[str] = ()) -> None:
    """Set what was asked for in this process's environment; call before `rclpy.init`. Nothing asked changes nothing.

    Args:
        discovery: one of `RANGES`, or None.
        peers: names or addresses of machines.

    Raises:
        ParameterError: this ROS cannot do that, or an address is none.
    """
    for peer in peers:
        if not peer or any(sign in peer for sign in "; \t"):
            raise ParameterError(f"--peer is '{peer}', expected the name or address of one machine")
    if peers and discovery == "off":
        raise ParameterError("--discovery off talks to nobody, named ones included: use localhost with --peer")
    if os.environ.get("ROS_DISTRO") == "humble":
        _use_humble(discovery, peers)
        return
    if discovery is not None:
        os.environ[_RANGE] = discovery.upper()
        os.environ.pop(_LOCALHOST, None)  # it would win
    if peers:
        os.environ[_PEERS] = ";".join(peers)


def _use_humble(discovery: str | None, peers: Sequence[str]) -> None:
    if peers or discovery == "off":
        raise ParameterError(
            "ROS 2 Humble has no --peer and no --discovery off: localhost or subnet, or a Fast DDS profile"
        )
    if discovery is not None:
        os.environ[_LOCALHOST] = "1" if discovery == "localhost" else "0"
