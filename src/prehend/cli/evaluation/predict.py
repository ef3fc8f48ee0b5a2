"""Predictions of the sources: one after the other here, or on the machines of a Ray cluster."""

import argparse
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from prehend.cli.evaluation.plan import EvalPlan
from prehend.cli.running.reading import Loader, open_run, read_sides
from prehend.documents import read_json
from prehend.errors import MissingDependency, PrehendError, SourceError, one_line
from prehend.eval.truth.datasets import DatasetImages, open_samples
from prehend.files import replace_file, replace_text
from prehend.io.results.predictions import read_predictions


@dataclass(frozen=True)
class EvalJob:
    """A source to run, with all that it needs."""

    plan: EvalPlan
    settings: Mapping[str, Any]
    args: argparse.Namespace


class EvalEngine(Protocol):
    """Runs jobs."""

    def predict(self, jobs: Sequence[EvalJob], out: Path) -> Iterator[tuple[str, bool]]:
        """Write `predictions/NAME.json` and its settings for each job, as they are done.

        Yields:
            The name, and whether nothing failed.
        """


def finished(out: Path, name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a run's predictions are there, whole, and made with the same settings."""
    path = out / "predictions" / f"{name}.json"
    beside = out / "predictions" / f"{name}.settings.json"
    if not path.is_file() or not beside.is_file():
        return False
    try:
        same = read_json(beside) == json.loads(json.dumps(settings))
        return same and bool(read_predictions(path).get("complete", False))
    except PrehendError:
        return False


def open_engine(args: argparse.Namespace, load: Loader) -> EvalEngine:
    """The engine that the arguments ask for."""
    return RayEvalEngine(load, args.ray_address, args.threads or 0) if args.engine == "ray" else LocalEvalEngine(load)


class LocalEvalEngine:
    """One source after the other."""

    def __init__(self, load: Loader):
        self._load = load

    def predict(self, jobs: Sequence[EvalJob], out: Path) -> Iterator[tuple[str, bool]]:
        """See `EvalEngine.predict`."""
        bar = tqdm(jobs, desc="sources", unit="source", disable=None if len(jobs) > 1 else True, leave=False)
        for job in bar:
            _forget(out, job)
            ok = predict(job, out / "predictions" / f"{job.plan.name}.json", self._load)
            _settle(out, job)
            yield job.plan.name, ok


class RayEvalEngine:
    """Sources on the machines of a cluster, which see them under the same paths; predictions come back over Ray.

    Args:
        load: makes estimators.
        address: of the cluster; None for RAY_ADDRESS, and where that is not set for this machine alone.
        threads: of the processor for each source, 0 for one.

    Raises:
        MissingDependency: Ray is not installed.
    """

    def __init__(self, load: Loader, address: str | None, threads: int):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it sends statistics to its makers unless told not to
        try:
            self._ray: Any = import_module("ray")
        except ImportError:
            raise MissingDependency("ray", "ray", "--engine ray") from None
        self._load, self._threads = load, max(threads, 1)
        self._address = address or os.environ.get("RAY_ADDRESS")

    def predict(self, jobs: Sequence[EvalJob], out: Path) -> Iterator[tuple[str, bool]]:
        """See `EvalEngine.predict`."""
        if not jobs:
            return
        ray = self._ray
        started = not ray.is_initialized()
        if started:
            self._connect()
        try:
            yield from self._spread(jobs, out)
        finally:
            if started:
                ray.shutdown()

    def _connect(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        options |= {"include_dashboard": False} if self._address is None else {"address": self._address}
        try:
            self._ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            where = self._address or "this machine"
            raise SourceError(f"no Ray cluster at {where}: {one_line(error)}") from error

    def _spread(self, jobs: Sequence[EvalJob], out: Path) -> Iterator[tuple[str, bool]]:
        ray = self._ray
        environment = {"env_vars": {"OMP_NUM_THREADS": str(self._threads)}}
        remote = ray.remote(_predict_bytes).options(num_cpus=self._threads, runtime_env=environment)
        running = {}
        for job in jobs:
            _forget(out, job)
            running[remote.remote(job, self._load)] = job
        with tqdm(total=len(jobs), desc="sources", unit="source", disable=None, leave=False) as bar:
            while running:
                (done, *_), _ = ray.wait(list(running))
                job = running.pop(done)
                yield job.plan.name, self._finish(job, done, out)
                bar.update()

    def _finish(self, job: EvalJob, reference: Any, out: Path) -> bool:
        try:
            data, said, ok = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            lines = str(getattr(error, "cause", None) or error).strip().splitlines() or ["its worker died"]
            tqdm.write(f"prehend eval: {job.plan.source}: {lines[0][:200]}", file=sys.stderr)
            return False
        for line in said:
            tqdm.write(line, file=sys.stderr)
        if data is not None:
            replace_file(out / "predictions" / f"{job.plan.name}.json", data)
            _settle(out, job)
        return bool(ok)


def predict(job: EvalJob, path: Path, load: Loader) -> bool:
    """Run a source in lock-step into a predictions file; returns whether nothing failed.

    Raises:
        PrehendError: the estimator cannot be loaded, or the file cannot be written.
    """
    args, plan = job.args, job.plan
    with open_run(args, load, read_sides(args), path, timing=not args.no_timing, verb="eval") as run:
        if plan.dataset is None:
            run.take(plan.source, topic=args.topic, track=args.track, prefixed=False)
        else:
            try:
                samples = open_samples(plan.dataset, Path(plan.source))
                source = DatasetImages(plan.source, samples, plan.dataset, run.fail)
                run.take_opened(source, track=args.track)
            except SourceError as error:
                run.fail(error)
    return run.exit_code() == 0


def _predict_bytes(job: EvalJob, load: Loader) -> tuple[bytes | None, list[str], bool]:
    """`predict` on another machine: the file's bytes, what was told, and whether nothing failed."""
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(told):
        path = Path(folder) / "predictions.json"
        try:
            ok = predict(job, path, load)
        except PrehendError as error:
            return None, [f"prehend eval: {error}"], False
        data = path.read_bytes() if path.exists() else None
    return data, [line for line in told.getvalue().splitlines() if line.startswith("prehend ")], ok


def _forget(out: Path, job: EvalJob) -> None:
    """What an earlier run with other settings left under this name, and the report that speaks of it."""
    (out / "report.html").unlink(missing_ok=True)
    for suffix in (".json", ".settings.json"):
        (out / "predictions" / f"{job.plan.name}{suffix}").unlink(missing_ok=True)


def _settle(out: Path, job: EvalJob) -> None:
    """Write what the predictions were made with, once they are whole."""
    if (out / "predictions" / f"{job.plan.name}.json").exists():
        replace_text(
            out / "predictions" / f"{job.plan.name}.settings.json", json.dumps(dict(job.settings), indent=1) + "\n"
        )
