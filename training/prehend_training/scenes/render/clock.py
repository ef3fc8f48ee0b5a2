"""A clock for the parts of a renderer's work."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class ProcessorClock:
    """Adds up the processor time [s] of named parts of this process; off until `running`, for asking it takes time."""

    def __init__(self) -> None:
        self.running = False
        self.spent_s: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        if not self.running:
            yield
            return
        before = time.process_time()
        try:
            yield
        finally:
            self.spent_s[name] += time.process_time() - before
