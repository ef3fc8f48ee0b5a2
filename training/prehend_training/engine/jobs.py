"""Jobs, and what runs them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from prehend.errors import PrehendError

EngineName = Literal["local", "ray"]

Work = Callable[[Any], Any]
"""Does one job: takes `Job.task`, returns a small picklable result."""


class EngineError(PrehendError):
    """A job failed or the process that had it died; the text names the job."""


@dataclass(frozen=True)
class Job:
    """One piece of work: a name for messages, and a picklable task."""

    name: str
    task: Any


class Engine(Protocol):
    """Runs jobs. It is made with `open_work`, which every worker calls once to get the function that does its jobs."""

    def map(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        """Each job with its result, as they get done, in any order.

        Raises:
            EngineError: a job failed; the other workers have been stopped.
        """
        ...


@dataclass(frozen=True)
class EngineOptions:
    """Where jobs run.

    Attributes:
        name: `local` processes or a `ray` cluster.
        workers: processes, 0 for this one; for Ray actors, 0 for one a CPU of the cluster.
        address: of the Ray cluster; None for RAY_ADDRESS, or where that is not set a cluster of this machine alone.
        gpus_per_worker: share of a GPU that Ray reserves for each worker.
    """

    name: EngineName = "local"
    workers: int = 0
    address: str | None = None
    gpus_per_worker: float = 0.0
