"""Bounds on what a process may take, for those that read what strangers made."""

import sys

MEMORY_BYTES = 4 << 30


def bound_memory() -> None:
    """Let this process have no more than `MEMORY_BYTES`, and leave no core; systems without such a limit go without."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
