"""A process that bounds itself dies of its own greed, and leaves nothing behind."""

import subprocess
import sys

import pytest

from prehend.bounds import MEMORY_BYTES

CHILD = "from prehend.bounds import bound_memory\n{before}\nbound_memory()\n{after}"


def child(after: str, before: str = "import resource") -> subprocess.CompletedProcess[str]:
    code = CHILD.format(before=before, after=after)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_more_memory_than_the_bound_is_refused_and_less_is_given():
    done = child(f"bytearray(1 << 20)\ntry:\n    bytearray({MEMORY_BYTES})\nexcept MemoryError:\n    print('refused')")
    assert (done.returncode, done.stdout) == (0, "refused\n")


@pytest.mark.parametrize("hard", [MEMORY_BYTES // 2, 4 * MEMORY_BYTES])
def test_a_lower_bound_of_the_system_stays_and_no_core_is_left(hard):
    before = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({hard}, {hard}))"
    show = "print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CORE))"
    assert child(show, before).stdout.split(maxsplit=1) == [str(min(hard, MEMORY_BYTES)), "(0, 0)\n"]
