"""Jobs in processes of this machine, each with its own OpenGL context and one thread."""

import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from threadpoolctl import threadpool_limits

from prehend.errors import InvalidInput
from prehend_training.engine.jobs import EngineError, Job, Work

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LP_NUM_THREADS": "0"}
"""For numpy, torch and llvmpipe (0 there: no thread beside the caller's): the processes share the cores."""
_GRACE_S = 5.0

logger = logging.getLogger(__name__)


class LocalEngine:
    """Processes that take jobs one by one.

    Args:
        open_work: see `open_engine`.
        workers: number of processes; 0 does the jobs in this one.
    """

    def __init__(self, open_work: Callable[[], Work], workers: int = 1):
        if workers < 0:
            raise InvalidInput(f"{workers} workers: 0 is the least")
        self.open_work, self.workers = open_work, workers

    def map(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        """See `Engine.map`."""
        if self.workers == 0:
            return self._here(jobs)
        return self._in_processes(jobs)

    def _here(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        if not jobs:
            return
        with one_thread():
            with threadpool_limits(1, "blas"):  # more threads round otherwise than the processes' one
                work = self.open_work()
            for job in jobs:
                try:
                    with threadpool_limits(1, "blas"):
                        result = work(job.task)
                except Exception as error:  # whatever a job raises, its name belongs to it
                    raise EngineError(_failed(job, repr(error))) from error
                yield job, result

    def _in_processes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        waiting = list(reversed(jobs))
        members: list[_Member] = []
        try:
            with one_thread():
                for _ in range(min(self.workers, len(jobs))):  # one by one: an interrupt must find those that run
                    members.append(_start(self.open_work))
            for member in members:
                member.give(waiting.pop())
            while busy := [member for member in members if member.job is not None]:
                # a pipe is ready too when the process at its other end has died
                for connection in wait([member.connection for member in busy]):
                    member = next(m for m in busy if m.connection is connection)
                    job, result = member.take()
                    member.job = None
                    if waiting:
                        member.give(waiting.pop())
                    yield job, result
            for member in members:
                member.connection.close()  # which ends it
            for member in members:
                member.process.join(_GRACE_S)
        finally:
            for member in members:
                if member.process.is_alive():
                    member.process.terminate()
                    member.process.join(_GRACE_S)


@dataclass
class _Member:
    """A worker process and the job it has."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None

    def give(self, job: Job) -> None:
        self.job = job
        try:
            self.connection.send(job.task)
        except OSError:  # it is dead; `take` tells
            return

    def take(self) -> tuple[Job, Any]:
        assert self.job is not None
        try:
            done, result = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join(_GRACE_S)
            code = self.process.exitcode
            raise EngineError(_failed(self.job, f"its process died with exit code {code}")) from None
        if not done:
            message, trace = result
            logger.error("%s", trace)
            raise EngineError(_failed(self.job, message))
        return self.job, result


def _failed(job: Job, why: str) -> str:
    return f"{job.name} failed ({why}); what is complete is kept, and the same command goes on from it"


def _start(open_work: Callable[[], Work]) -> _Member:
    # a fresh interpreter: an OpenGL context does not survive a fork
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, open_work), daemon=True)
    process.start()
    theirs.close()
    return _Member(process, ours)


def _serve(connection: Connection, open_work: Callable[[], Work]) -> None:
    """Do jobs until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the workers
    end_with_parent()
    work: Work | None = None
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            work = work or open_work()
            answer: tuple[bool, Any] = (True, work(task))
        except Exception as error:  # noqa: BLE001 - the parent raises it, with the job's name
            answer = (False, (repr(error), traceback.format_exc()))
        connection.send(answer)


def end_with_parent() -> None:
    """End this process at once when its parent is gone, whatever it is doing: a parent that is killed ends nobody."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes started inside use one thread each, unless the environment says otherwise."""
    added = {name: value for name, value in ONE_THREAD.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
