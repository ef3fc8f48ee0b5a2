"""What `prehend eval` does: predictions of each source, then their judgement, then the files."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from prehend.cli.arguments.options import no_effect, of_the_estimator
from prehend.cli.evaluation.plan import EvalPlan, plans_of, settings_of
from prehend.cli.evaluation.predict import EvalEngine, EvalJob, finished, open_engine
from prehend.cli.evaluation.truth import TruthMaker
from prehend.cli.running.reading import Loader
from prehend.conventions import SIDES
from prehend.documents import read_document
from prehend.errors import OutputError, PrehendError, SourceError
from prehend.eval.answers import Answers, read_answers
from prehend.eval.judge.compare import differences
from prehend.eval.judge.report.curves import check_matplotlib
from prehend.eval.judge.report.page import html_report
from prehend.eval.judge.report.spreadsheets import bop_csv, bop_numbers, events_csv, frames_csv, table_rows, table_text
from prehend.eval.judge.report.worst import pictures_of, worst_frames
from prehend.eval.judge.summary import Judged, judge, latency_measures
from prehend.eval.judge.things import Shapes, catalogue_shapes
from prehend.eval.papers.tables import markdown_table
from prehend.eval.truth.records import left_unanswered, truth_of
from prehend.eval.truth.store import truth_text
from prehend.files import has_room, reason, replace_text
from prehend.hand_model import load_hand_model
from prehend.object_catalogue import load_objects

SCHEMA = "prehend.eval/1"
"""Of metrics.json."""

T = TypeVar("T")
_MOST_COMPARED = 10


class Evaluation:
    """One call of the command.

    Args:
        args: see `eval.build_parser`.
        load: makes estimators.
    """

    def __init__(self, args: argparse.Namespace, load: Loader):
        self._args, self._load, self._out = args, load, Path(args.out)
        self._failures = 0
        self._ids = _read_ids(args.bop_ids)
        self._objects = load_objects()
        numbers = {name: number for number, name in self._ids.items()}
        self._shapes: Shapes = catalogue_shapes(self._objects, args.meshes, numbers)

    def run(self) -> int:
        """Do everything; returns the exit code."""
        check_matplotlib()
        if self._args.meshes is not None and not self._args.meshes.is_dir():
            raise SourceError(f"--meshes {self._args.meshes}: no such folder")
        plans = plans_of(self._args.sources, self._args.truth)
        if not any(plan.is_run for plan in plans) and (given := of_the_estimator(self._args)):
            self._tell(f"{no_effect(given)} on predictions, which are judged as they are")
        made = self._make_folders()
        try:
            return self._judge(plans)
        finally:
            if not (self._out / "report.html").exists():
                for folder in reversed(made):
                    with suppress(OSError):  # something is in it
                        folder.rmdir()

    def _judge(self, plans: Sequence[EvalPlan]) -> int:
        judged = [run for plan in self._predicted(plans) if (run := self._judged(plan)) is not None]
        if not judged:
            return 1
        self._write(judged)
        headings, rows = table_rows(judged)
        sys.stdout.write(markdown_table(["run", *headings], rows) + "\n")
        sys.stdout.write(f"report: {self._out / 'report.html'}\n")
        return 1 if self._failures else 0

    def _make_folders(self) -> list[Path]:
        """Those that were not there, outer ones first."""
        wanted = [self._out, self._out / "predictions", self._out / "truth"]
        made = [folder for folder in wanted if not folder.exists()]
        try:
            for folder in wanted:
                folder.mkdir(parents=True, exist_ok=True)
            return made
        except OSError as error:
            raise OutputError(f"{self._out} cannot be made: {reason(error)}") from error

    def _predicted(self, plans: Sequence[EvalPlan]) -> Iterator[EvalPlan]:
        """The plans whose predictions are there, in their order; what was finished before is not done again."""
        jobs: dict[str, EvalJob] = {}
        failed: set[str] = set()
        for plan in plans:
            try:
                TruthMaker(self._args, self._ids, self._objects).check(plan)  # before what takes long
                if plan.is_run and not finished(self._out, plan.name, settings := settings_of(self._args, plan)):
                    jobs[plan.name] = EvalJob(plan, settings, self._args)
            except SourceError as error:
                self._fail(error)
                failed.add(plan.name)
        engine: EvalEngine = open_engine(self._args, self._load)
        for name, ok in engine.predict(list(jobs.values()), self._out):
            self._failures += not ok
            if not (self._out / "predictions" / f"{name}.json").exists():
                failed.add(name)
        yield from (plan for plan in plans if plan.name not in failed)

    def _judged(self, plan: EvalPlan) -> Judged | None:
        """A run beside its truth, None where it failed."""
        path = self._out / "predictions" / f"{plan.name}.json" if plan.is_run else plan.predictions
        try:
            answers = read_answers(path)
            if not answers.frames:
                raise SourceError(f"{plan.source}: no frame was predicted")
            self._tell_what_it_is(plan, answers)
            with TruthMaker(self._args, self._ids, self._objects) as maker:
                truth = maker.open(plan)
                known = [None] * len(answers.frames) if truth is None else truth_of(truth, answers.frames)
                for line in [] if truth is None else left_unanswered(truth, answers.frames):
                    self._tell(f"{plan.source}: {line}")
                title = "" if truth is None else truth.title
            return judge(
                plan.name, plan.source, answers, known, title, self._shapes,
                _settings_beside(path) or {"predictions": str(path)},
                rigid=self._args.rigid, path=plan.media,
            )  # fmt: skip
        except SourceError as error:
            self._fail(error)
            return None

    def _tell_what_it_is(self, plan: EvalPlan, answers: Answers) -> None:
        """Say what no measure tells: that a run was stopped, or is judged by itself."""
        if not answers.complete:
            self._tell(f"{plan.source}: it was stopped before its end: its {len(answers.frames)} frames are judged")
        mine = None if plan.is_run else plan.predictions.resolve()
        if any(Path(text).resolve() == mine for text in self._args.truth):
            self._tell(f"{plan.source}: it is its own truth: that it is right says nothing")

    def _write(self, runs: Sequence[Judged]) -> None:
        """All files, the report last."""
        if not has_room(self._out, 8 << 20):
            raise OutputError(f"{self._out} cannot be written: the disk is full")
        numbers = bop_numbers(runs, self._ids)
        pairs = list(combinations(runs, 2))[:_MOST_COMPARED]
        compared = [(a.name, b.name, differences(a, b)) for a, b in pairs]
        (self._out / "report.html").unlink(missing_ok=True)  # whoever finds one finds what it speaks of beside it
        self._text("metrics.json", _json(_metrics(runs, compared, numbers)))
        self._text("frames.csv", frames_csv(runs))
        self._text("events.csv", events_csv(runs))
        self._text("bop.csv", bop_csv(runs, numbers))
        (self._out / "latency.json").unlink(missing_ok=True)
        if any(run.timings for run in runs):
            self._text("latency.json", _json({run.name: latency_measures(run) for run in runs}))
        self._keep_inputs(runs)
        if self._args.save_table is not None:
            replace_text(self._args.save_table, table_text(runs, self._args.save_table.suffix))
        if self._args.bag_out is not None:
            self._write_bag(runs[0])
        worst = worst_frames(runs)
        models = {side: load_hand_model(self._args.hand_model, side) for side in SIDES}
        pictures = pictures_of(_shown("pictures", runs), worst, models)
        self._text("report.html", html_report(runs, compared, worst, pictures))

    def _keep_inputs(self, runs: Sequence[Judged]) -> None:
        """What the runs can be judged by again: their truth, and predictions that came from elsewhere."""
        plans = {plan.name: plan for plan in plans_of(self._args.sources, self._args.truth)}
        for run in runs:
            (self._out / "truth" / f"{run.name}.json").unlink(missing_ok=True)
            if run.truth_title:
                self._text(f"truth/{run.name}.json", truth_text(zip(run.frames, run.truth, strict=True)))
            plan = plans[run.name]
            if not plan.is_run:
                self._text(f"predictions/{run.name}.json", plan.predictions.read_text(encoding="utf-8"))
                self._text(f"predictions/{run.name}.settings.json", _json(run.settings))

    def _write_bag(self, run: Judged) -> None:
        from prehend.cli.evaluation.bag import write_run

        write_run(self._args.bag_out, run, self._args.keep)
        sys.stdout.write(f"bag: {self._args.bag_out}\n")

    def _text(self, name: str, text: str) -> None:
        replace_text(self._out / name, text)

    def _fail(self, error: PrehendError) -> None:
        self._failures += 1
        self._tell(str(error))

    def _tell(self, line: str) -> None:
        tqdm.write(f"prehend eval: {line}", file=sys.stderr)


def _read_ids(path: Path | None) -> dict[int, str]:
    """BOP's numbers of objects -> ids."""
    if path is None:
        return {}
    content = read_document(path)
    try:
        return {int(number): str(name) for number, name in content.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{path}: expected {{number: id of an object}}") from error


def _settings_beside(path: Path) -> dict[str, Any]:
    beside = path.with_name(f"{path.stem}.settings.json")
    content = read_document(beside) if beside.is_file() else None
    return content if isinstance(content, dict) else {}


def _metrics(
    runs: Sequence[Judged], compared: Sequence[tuple[str, str, Any]], numbers: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "runs": {
            run.name: {
                "source": run.source,
                "model": run.answers.model,
                "weights_sha256": run.answers.weights_sha256,
                "complete": run.answers.complete,
                "truth": run.truth_title or None,
                "settings": run.settings,
                **run.measures,
                "lost_spans": [vars(span) for span in run.lost],
            }
            for run in runs
        },
        "differences": [{"first": a, "other": b, "measures": rows} for a, b, rows in compared],
        "bop_objects": dict(sorted(numbers.items(), key=lambda one: one[1])),
    }


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _shown(what: str, steps: Sequence[T]) -> Sequence[T]:
    """A progress bar where there is something to wait for."""
    bar: Iterable[T] = tqdm(steps, desc=what, unit="run", disable=None, leave=False)
    return list(bar)
