"""Jobs on the machines of a Ray cluster.

Results that are files (shards) go to a folder which every machine sees under the same path (NFS or the like); Ray moves
only jobs and notes. The package has to be installed on every machine, in the same version.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from prehend.errors import MissingDependency
from prehend.object_catalogue import OWN_OBJECTS
from prehend_training.engine.jobs import EngineError, Job, Work
from prehend_training.engine.local import ONE_THREAD, one_thread


class RayEngine:
    """Ray actors that take jobs one by one.

    Args:
        open_work: see `open_engine`.
        workers: number of actors; 0 for one a CPU of the cluster.
        address: of the cluster ("auto", "ray://HOST:10001", "HOST:6379"); None for RAY_ADDRESS, and where that is not
            set for a cluster of this machine alone that ends with the jobs.
        gpus_per_worker: share of a GPU reserved for each actor; 0.25 lets four share one.

    Raises:
        MissingDependency: Ray is not installed.
    """

    def __init__(
        self,
        open_work: Callable[[], Work],
        workers: int = 0,
        address: str | None = None,
        gpus_per_worker: float = 0.0,
    ):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it sends statistics to its makers unless told not to
        try:
            self.ray: Any = import_module("ray")
        except ImportError:
            raise MissingDependency("ray", "ray", "--engine ray") from None
        self.open_work, self.workers, self.gpus_per_worker = open_work, workers, gpus_per_worker
        self.address = address or os.environ.get("RAY_ADDRESS")

    def map(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        """See `Engine.map`."""
        if not jobs:
            return
        ray, ours = self.ray, not self.ray.is_initialized()
        if ours:
            self._connect()
        try:
            yield from self._spread(jobs)
        except ray.exceptions.RayError as error:
            raise EngineError(f"Ray failed: {_first_line(error)}") from error
        finally:
            if ours:
                ray.shutdown()

    def _connect(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self.address is not None:
            options["address"] = self.address
        else:
            options.update(include_dashboard=False, num_cpus=self.workers or None)
        try:
            with one_thread():
                self.ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise EngineError(f"no Ray cluster at {self.address or 'this machine'}: {_first_line(error)}") from error

    def _spread(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        ray = self.ray
        count = self.workers or int(ray.cluster_resources().get("CPU", 1))
        own = {OWN_OBJECTS: os.environ[OWN_OBJECTS]} if OWN_OBJECTS in os.environ else {}
        environment = {"env_vars": {**ONE_THREAD, **own}}
        actor = ray.remote(_Worker).options(
            num_cpus=1, num_gpus=self.gpus_per_worker, runtime_env=environment, max_restarts=0
        )
        actors = [actor.remote(self.open_work) for _ in range(min(count, len(jobs)))]
        waiting = list(reversed(jobs))
        running: dict[Any, tuple[Job, Any]] = {}
        try:
            for member in actors:
                job = waiting.pop()
                running[member.do.remote(job.task)] = (job, member)
            while running:
                (done, *_), _ = ray.wait(list(running))
                job, member = running.pop(done)
                result = self._result(job, done)
                if waiting:
                    following = waiting.pop()
                    running[member.do.remote(following.task)] = (following, member)
                yield job, result
        finally:
            for member in actors:
                ray.kill(member)

    def _result(self, job: Job, reference: Any) -> Any:
        exceptions = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except exceptions.RayTaskError as error:
            raise EngineError(f"{job.name} failed ({error.cause!r}); the same command goes on") from error
        except exceptions.RayError as error:
            raise EngineError(f"{job.name} failed (its worker died: {_first_line(error)})") from error


class _Worker:
    """What runs on the cluster."""

    def __init__(self, open_work: Callable[[], Work]):
        self.work = open_work()

    def do(self, task: Any) -> Any:
        return self.work(task)


def _first_line(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return lines[-1] if "creation task" in lines[0] else lines[0]  # where a worker could not start the last one tells
