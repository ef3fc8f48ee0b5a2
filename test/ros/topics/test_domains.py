"""Which domains are in use, told by ports: of real participants, and of numbers."""

import pytest

from prehend.ros.topics.domains import domains_of, other_domains


@pytest.mark.parametrize(
    ("ports", "domains"),
    [
        (set(), []),
        ({7400, 7410, 7411}, [0]),
        ({7410, 7411}, [0]),  # LOCALHOST listens to no multicast
        ({7400}, []),
        ({7411, 7412}, []),  # two programs that have nothing to do with it
        ({8164, 8165, 32660, 32661}, [3, 101]),
        ({53, 5353, 40000, 40001, 65535}, []),
    ],
)
def test_a_participant_has_two_ports_of_its_domain(ports, domains):
    assert domains_of(ports) == domains


def test_a_participant_in_another_domain_is_found_and_its_own_is_not_told(domain, peer, next_domain):
    peer.until(lambda: domain in other_domains(next_domain), "its ports are bound")
    assert domain not in other_domains(domain)
