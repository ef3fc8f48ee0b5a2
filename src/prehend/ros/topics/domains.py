"""Which ROS domains this machine's processes are in, by the UDP ports that DDS derives from them."""

from pathlib import Path

_FIRST, _GAIN, _LAST = 7400, 250, 101
"""Port of domain 0, ports of each, and the last domain below the ephemeral ones (DDSI-RTPS 2.5, 9.6.2.4)."""
_PARTICIPANTS = range(10, _GAIN, 2)
"""Where in a domain's ports each participant has two, for discovery and for data; the rest are for multicast, which not
every range of discovery listens to."""
_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))


def domains_of(ports: set[int]) -> list[int]:
    """The domains that somebody is in where these UDP ports are bound."""
    return [domain for domain in range(_LAST + 1) if _is_in_use(_FIRST + _GAIN * domain, ports)]


def _is_in_use(first: int, ports: set[int]) -> bool:
    return any({first + offset, first + offset + 1} <= ports for offset in _PARTICIPANTS)


def other_domains(own: int) -> list[int]:
    """Domains of this machine that somebody is in besides `own`; none where the system does not tell (/proc, Linux)."""
    return [domain for domain in domains_of(_bound()) if domain != own]


def _bound() -> set[int]:
    """Local UDP ports that are bound."""
    ports: set[int] = set()
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
            ports |= {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
        except (OSError, ValueError, IndexError):
            continue
    return ports
