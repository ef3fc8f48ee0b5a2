"""The truth that `--truth` names, for one run."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from prehend.cli.evaluation.plan import EvalPlan
from prehend.errors import ParameterError, SourceError
from prehend.eval.truth.datasets import DatasetTruth, is_dataset, open_samples
from prehend.eval.truth.files import FrameTruth, read_truth_file
from prehend.eval.truth.records import Joined, Truth
from prehend.eval.truth.store import read_truth
from prehend.io.sources import is_bag
from prehend.object_catalogue import ObjectModel


class TruthMaker:
    """Opens truths, and closes their bag at the end.

    Args:
        args: of the command.
        ids: BOP's numbers of objects -> ids.
        objects: the catalogue.
    """

    def __init__(self, args: argparse.Namespace, ids: Mapping[int, str], objects: Mapping[str, ObjectModel]):
        self._args, self._ids, self._objects = args, ids, objects
        self._opened: tuple[Any, Any] | None = None

    def check(self, plan: EvalPlan) -> None:
        """Open it before the long part, so that a wrong name is told at once.

        Raises:
            PrehendError: see `open`.
        """
        with self:
            self.open(plan)

    def open(self, plan: EvalPlan) -> Truth | None:
        """The truth of a run, None for none.

        Raises:
            ParameterError: a word of the truth cannot be.
            SourceError: it cannot be read, or is of another camera.
        """
        words = list(self._args.truth)
        if not words:
            return None if plan.truth is None else FrameTruth(str(plan.truth), read_truth(plan.truth))
        parts = [self._part(plan, word) for word in words]
        return parts[0] if len(parts) == 1 else Joined(parts)

    def __enter__(self) -> "TruthMaker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _part(self, plan: EvalPlan, word: str) -> Truth:
        if is_dataset(word):
            if plan.dataset is None:
                raise ParameterError(f"--truth {word} goes with the dataset's folder as SOURCE, not with {plan.source}")
            return DatasetTruth(open_samples(word, Path(plan.source)), word)
        path = Path(word)
        if path.is_file():
            return read_truth_file(path, self._ids)
        if not word.startswith(("/", "tf:")):
            raise SourceError(f"--truth {word}: no such file, and no topic (/...), frame (tf:...) or dataset")
        return self._of_bag(plan, word)

    def _of_bag(self, plan: EvalPlan, word: str) -> Truth:
        if plan.media is None or not is_bag(plan.media):
            raise ParameterError(f"--truth {word}: no such file, and topics are of a bag, which {plan.source} is not")
        from prehend.eval.truth.topics import BagTruth, parse_spec
        from prehend.io.bags.files import BagFiles
        from prehend.io.bags.topics import choose_topic
        from prehend.ros.messages import typestore

        if self._opened is None:
            bag = BagFiles(plan.media, typestore())
            images = choose_topic(bag, self._args.topic).topic
            self._opened = bag, BagTruth(bag, images, tuple(sorted(self._objects)))
        truth: Truth = self._opened[1].open(parse_spec(word))
        return truth
