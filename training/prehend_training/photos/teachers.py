"""Who labels photographs: MediaPipe Hands in an environment of its own, or weights of ours."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from prehend.errors import AssetError, SourceError
from prehend.io.pixels.images import Image, read_image
from prehend.pipeline.load import load_estimator
from prehend.types import Box, FoundHand
from prehend_training.photos.agreement import Answer, answer_of
from prehend_training.photos.looks import Look

WORKER = Path(__file__).with_name("mediapipe_worker.py")
HOW = (
    "make an environment with Python 3.10 to 3.12 (python3.11 -m venv ENV; ENV/bin/pip install mediapipe==0.10.21) and "
    "name it: --python ENV/bin/python"
)


class PhotoTeacher(Protocol):
    """Finds hands in views of an image.

    Attributes:
        name: as it is written into labels.
    """

    name: str

    def answers(self, path: Path, looks: Sequence[Look], place: Box | None) -> list[list[Answer]]:
        """What is seen in each look at an image, in pixels of the image; `place` is where the hand should be.

        Raises:
            SourceError: the image cannot be read.
            AssetError: the teacher does not run.
        """
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class MediapipeTeacher:
    """MediaPipe Hands (full, every image on its own) in a process of another Python.

    Raises:
        AssetError: that Python is missing, or has no mediapipe.
    """

    def __init__(self, python: Path):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        command, pipe = [str(python), str(WORKER)], subprocess.PIPE
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._errors, text=True)
        except OSError as error:
            raise AssetError(f"the teacher's Python {python} does not start ({error.strerror}): {HOW}") from error
        self.name = f"teacher {self._read()['teacher']}"

    def answers(self, path: Path, looks: Sequence[Look], place: Box | None) -> list[list[Answer]]:
        """See `PhotoTeacher`; it looks for itself, wherever the hand should be."""
        asked = {"path": str(path), "views": [{"affine": look.affine.tolist(), "size": look.size} for look in looks]}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        except OSError:
            self._fail()
        reply = self._read()
        if "error" in reply:
            raise SourceError(f"{path}: {reply['error']}")
        return [_in_picture(found, look) for look, found in zip(looks, reply["answers"], strict=True)]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _fail(self) -> None:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines() or ["it ended without a word"]
        raise AssetError(f"the teacher's Python does not run mediapipe ({lines[-1]}): {HOW}")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def _in_picture(found: Sequence[dict[str, Any]], look: Look) -> list[Answer]:
    answers = []
    for entry in found:
        right = bool(entry["right"]) != look.mirrored
        answer = answer_of(look.back(np.array(entry["points"])), "right" if right else "left", float(entry["score"]))
        if answer is not None:
            answers.append(answer)
    return answers


class OwnTeacher:
    """Weights of ours; where a place is given they are asked there, otherwise the detector looks.

    Args:
        model, detector: names or folders of weights.

    Raises:
        AssetError, UnknownName: they cannot be loaded.
    """

    def __init__(self, model: str, detector: str = "palm"):
        self._estimator = load_estimator(model=model, detector=detector, tracking=False)
        bundle = self._estimator.bundle
        self.name = f"teacher {bundle.name} {bundle.weights_sha256[:12]}"
        self._path: Path | None = None
        self._image: Image = np.zeros((1, 1, 3), np.uint8)

    def answers(self, path: Path, looks: Sequence[Look], place: Box | None) -> list[list[Answer]]:
        """See `PhotoTeacher`."""
        if path != self._path:
            self._path, self._image = path, read_image(path)
        return [self._seen(look, place) for look in looks]

    def _seen(self, look: Look, place: Box | None) -> list[Answer]:
        view = np.asarray(cv2.warpAffine(self._image, look.affine, look.size, flags=cv2.INTER_LINEAR), np.uint8)
        boxes = None if place is None else [FoundHand(_moved(place, look), None)]
        answers = []
        for hand in self._estimator.estimate(view, boxes=boxes).hands:
            right = (hand.side == "right") != look.mirrored
            answers.append(Answer(look.back(hand.keypoints_px), "right" if right else "left", hand.score))
        return answers

    def close(self) -> None:
        """Let go of the networks."""
        self._estimator.close()


def _moved(box: Box, look: Look) -> Box:
    """A box as large as this one around its place in the view (a turn does not make it larger)."""
    x, y = look.affine[:, :2] @ np.array(box.center) + look.affine[:, 2]
    scale = abs(np.linalg.det(look.affine[:, :2])) ** 0.5
    half_width, half_height = scale * box.width / 2, scale * box.height / 2
    return Box(float(x - half_width), float(y - half_height), float(x + half_width), float(y + half_height))
