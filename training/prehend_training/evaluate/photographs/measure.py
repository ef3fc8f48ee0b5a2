"""The whole pipeline on photographs, as a user calls it: own detector, given boxes, beside them a peer's answers."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from prehend.conventions import SIDES
from prehend.errors import InvalidInput, SourceError
from prehend.eval.photographs.labels import LabelledPhoto, check_size
from prehend.eval.photographs.measures import NAN, LabelledHand, PhotoAnswer
from prehend.io.cameras.side_files import GivenCamera, SourceTable
from prehend.io.pixels.images import IMAGE_SUFFIXES, Image, read_image
from prehend.io.results.predictions import read_predictions
from prehend.io.sources import Folder, Frame
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.load import load_estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Camera, FoundHand, FrameResult, HandEstimate
from prehend_training.evaluate.network import RUN_NOTE, open_measured

PhotoColumn = Literal["detector", "boxes", "peer"]
Cameras = SourceTable[GivenCamera] | GivenCamera | None


@dataclass(frozen=True)
class PhotoInputs:
    """What is given beside the photographs.

    Attributes:
        columns: own detector, given boxes, or both.
        cameras: intrinsics; before those of the labels. An image without any has them assumed.
        boxes: in place of those of the labels.
        peer: answers of another program to the same images, frames of `prehend.predictions/1`.
    """

    columns: tuple[PhotoColumn, ...] = ("detector", "boxes")
    cameras: Cameras = None
    boxes: SourceTable[list[FoundHand]] | None = None
    peer: SourceTable[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class PhotoRun:
    """One photograph and what was said about it.

    Attributes:
        photo: with its labels.
        path: None where there is no such image.
        answers: of each column; None where the image was not looked at.
        result: of our own detector.
        time_ms: wall time of each of our columns.
        camera_given: whether its intrinsics are known.
    """

    photo: LabelledPhoto
    path: Path | None
    answers: Mapping[PhotoColumn, Sequence[PhotoAnswer] | None]
    result: FrameResult | None = None
    time_ms: Mapping[PhotoColumn, float] = field(default_factory=dict)
    camera_given: bool = False


def open_estimator(what: str | Path, detector: str | Path, config: EstimatorOptions) -> Estimator:
    """The pipeline with weights by name or folder, or with those of a run.

    Raises:
        AssetError: weights are missing, corrupt, or do not fit.
    """
    if any((Path(one) / RUN_NOTE).exists() for one in (what, detector)):
        return Estimator(open_measured(what).backend, open_measured(detector).backend, config=config)
    return load_estimator(config, model=what, detector=detector)


def run_photos(
    estimator: Estimator, photos: Sequence[LabelledPhoto], roots: Sequence[Path], inputs: PhotoInputs
) -> list[PhotoRun]:
    """Look at every photograph.

    Args:
        estimator: without tracking.
        photos: with their labels.
        roots: folders that their names may be relative to; the first is searched through.
        inputs: what is given beside them.

    Raises:
        SourceError: none of the photographs is there, or one cannot be read.
        InvalidInput: labels are for another size of image.
    """
    find = PhotoFiles(roots)
    paths = [find(photo.name) for photo in photos]
    if not any(paths):
        raise SourceError(f"{roots[0]}: none of the {len(photos)} labelled images is there, such as {photos[0].name}")
    # as a context, so that the bar is done before an error is told
    with tqdm(list(zip(photos, paths, strict=True)), desc="photographs", unit="picture") as pairs:
        return [_run(estimator, photo, path, inputs) for photo, path in pairs]


def pictures_without_hands(folder: Path) -> Iterator[LabelledPhoto]:
    """Every image below a folder, as one in which no hand is to be found.

    Raises:
        SourceError: there is no such folder, or it has no image.
    """
    Folder(str(_folder(folder)))  # says what is wrong with a folder without images
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield LabelledPhoto(str(path.relative_to(folder)), folder.name, (), complete=True)


def look_at(
    estimator: Estimator, folder: Path, cameras: Cameras, tile: Callable[[Image, FrameResult, str], Image]
) -> tuple[dict[str, Any], list[Image]]:
    """What is found in images without labels: how many show 0, 1, 2, ... hands, and a tile of each.

    Args:
        estimator: without tracking.
        folder: of images.
        cameras: intrinsics, None to have them assumed.
        tile: draws an image, what was found in it, and its name.

    Raises:
        SourceError: there is no such folder, it has no image, or one cannot be read.
    """
    counts: Counter[int] = Counter()
    tiles = []
    with Folder(str(_folder(folder))) as source, tqdm(source, folder.name, source.length, unit="picture") as seen:
        for frame in seen:
            result = estimator.estimate(frame.image_rgb, camera_of(cameras, frame))
            counts[len(result.hands)] += 1
            tiles.append(tile(frame.image_rgb, result, PurePosixPath(frame.source).name))
    told = {str(count): counts[count] for count in sorted(counts)}
    return {"pictures": len(tiles), "pictures_with_hands": told}, tiles


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise SourceError(f"{path}: no such folder")
    return path


def read_peer(path: Path) -> SourceTable[Mapping[str, Any]]:
    """Frames of a predictions file by their source.

    Raises:
        SourceError: it is no predictions file.
    """
    return SourceTable(path, {frame["source"]: frame for frame in read_predictions(path)["frames"]})


class PhotoFiles:
    """Finds images by the names that label files give them."""

    def __init__(self, roots: Sequence[Path]):
        self._roots = roots
        self._tails: dict[str, list[Path]] | None = None

    def __call__(self, name: str) -> Path | None:
        """The image's path: below one of the folders, else the one whose path ends with the name."""
        for root in self._roots:
            if (root / name).is_file():
                return root / name
        parts = PurePosixPath(name.replace("\\", "/")).parts
        fitting = [
            path
            for path in self._by_name().get(parts[-1], [])
            if all(a == b for a, b in zip(reversed(path.parts), reversed(parts), strict=False))
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _by_name(self) -> Mapping[str, list[Path]]:
        if self._tails is None:
            self._tails = {}
            for path in self._roots[0].rglob("*"):
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    self._tails.setdefault(path.name, []).append(path.resolve())
        return self._tails


def labelled_boxes(hands: Sequence[LabelledHand], size: tuple[int, int]) -> list[FoundHand]:
    """The boxes and sides of labels, where they touch an image of this width and height [px]."""
    found = []
    for hand in hands:
        box = hand.box
        if not hand.is_scored or box is None or max(box.width, box.height) < 1:
            continue
        if box.x1 > 0 and box.y1 > 0 and box.x0 < size[0] - 1 and box.y0 < size[1] - 1:
            found.append(FoundHand(box, hand.side))
    return found


def answer_of(hand: HandEstimate) -> PhotoAnswer:
    """What our pipeline said, as it is scored; the probability of the side is one that not every pipeline tells."""
    side_score = float(getattr(hand, "side_score", NAN))
    return PhotoAnswer(
        hand.keypoints_px, hand.side, hand.joints_m, float(hand.score), float(hand.grasp.probability), side_score
    )


def answers_of_record(record: Mapping[str, Any]) -> list[PhotoAnswer]:
    """What a frame of a predictions file says; a peer's may lack much.

    Raises:
        InvalidInput: keypoints are no 21 x 2 numbers.
    """
    answers = []
    for hand in record.get("hands", ()):
        points = _numbers(hand.get("keypoints_px"), (21, 2))
        if points is None:
            raise InvalidInput(f"{record.get('source')}: a hand without 21 keypoints cannot be scored")
        score, grasp = hand.get("score"), (hand.get("grasp") or {}).get("probability")
        answers.append(
            PhotoAnswer(
                points,
                hand.get("side") if hand.get("side") in SIDES else None,
                _numbers(hand.get("joints_m"), (21, 3)),
                NAN if score is None else float(score),
                NAN if grasp is None else float(grasp),
            )
        )
    return answers


def mark_complete(photos: Sequence[LabelledPhoto], names: Collection[str]) -> list[LabelledPhoto]:
    """The photographs with those of some sets marked as completely labelled; "all" marks every one.

    Raises:
        InvalidInput: there is no such set.
    """
    sets = {photo.set_name for photo in photos}
    unknown = sorted(set(names) - sets - {"all"})
    if unknown:
        raise InvalidInput(f"no set '{unknown[0]}' to be complete: choose of {', '.join(sorted(sets))}, or all")
    marked = sets if "all" in names else set(names)
    return [replace(photo, complete=photo.complete or photo.set_name in marked) for photo in photos]


def of_split(photos: Sequence[LabelledPhoto], split: str | None) -> list[LabelledPhoto]:
    """The photographs of a split; None takes all.

    Raises:
        InvalidInput: there is none.
    """
    chosen = [photo for photo in photos if split in (None, photo.split)]
    if not chosen:
        splits = sorted({photo.split for photo in photos} - {""})
        raise InvalidInput(f"no photograph of split '{split}': the labels know {', '.join(splits) or 'no splits'}")
    return chosen


def _run(estimator: Estimator, photo: LabelledPhoto, path: Path | None, inputs: PhotoInputs) -> PhotoRun:
    if path is None:
        return PhotoRun(photo, None, dict.fromkeys(inputs.columns))
    image = read_image(path)
    height, width = image.shape[:2]
    check_size(photo, width, height)
    frame = Frame(image, photo.name, 0, path=path)
    camera = _camera(photo, frame, inputs.cameras)
    answers: dict[PhotoColumn, list[PhotoAnswer] | None] = {}
    times: dict[PhotoColumn, float] = {}
    own: FrameResult | None = None
    for column in inputs.columns:
        result = _estimate(estimator, column, image, camera, _boxes(photo, frame, inputs))
        answers[column] = None if result is None else [answer_of(hand) for hand in result.hands]
        if result is not None:
            times[column] = result.timing_ms["total"]
            own = result if column == "detector" else own
    if inputs.peer is not None:
        record = inputs.peer.find(frame)
        answers["peer"] = None if record is None else answers_of_record(record)
    return PhotoRun(photo, path, answers, own, times, camera is not None)


def _estimate(
    estimator: Estimator, column: PhotoColumn, image: Image, camera: Camera | None, boxes: list[FoundHand]
) -> FrameResult | None:
    """None with given boxes where there is none: nothing was looked at."""
    if column == "detector":
        return estimator.estimate(image, camera)
    return estimator.estimate(image, camera, boxes=boxes) if boxes else None


def _boxes(photo: LabelledPhoto, frame: Frame, inputs: PhotoInputs) -> list[FoundHand]:
    if inputs.boxes is not None:
        return inputs.boxes.find(frame) or []
    height, width = frame.image_rgb.shape[:2]
    return labelled_boxes(photo.hands, (width, height))


def _camera(photo: LabelledPhoto, frame: Frame, cameras: Cameras) -> Camera | None:
    height, width = frame.image_rgb.shape[:2]
    given = camera_of(cameras, frame)
    if given is not None:
        return given
    return None if photo.K is None else Camera(photo.K, width, height)


def camera_of(cameras: Cameras, frame: Frame) -> Camera | None:
    """The camera that a file gives a frame, None where it gives none.

    Raises:
        InvalidInput: it is for another shape of image.
    """
    height, width = frame.image_rgb.shape[:2]
    given = cameras.find(frame) if isinstance(cameras, SourceTable) else cameras
    return None if given is None else given.for_image(width, height)


def _numbers(values: Any, shape: tuple[int, int]) -> Any:
    """An array with NaN for null; None where there is none of this shape."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.shape == shape else None
