"""The worst frames of some runs, drawn."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import BONES, NUM_BETAS, Side
from prehend.draw.canvas import draw_polyline
from prehend.draw.overlay import OverlayOptions, draw
from prehend.errors import PrehendError
from prehend.eval.judge.matching import in_picture
from prehend.eval.judge.motion import frame_jitter
from prehend.eval.judge.summary import Judged, known_errors
from prehend.hand_model import HandModel, skin
from prehend.io.frames import Frame
from prehend.io.pixels.images import Image
from prehend.io.sources import open_source
from prehend.types import FrameResult, HandEstimate

COUNT = 10
_MISSED, _FALSE = 3.0, 2.0
_TRUE_COLOUR = (255, 255, 255)
_LONGEST_PX = 800
_QUALITY = 82


@dataclass(frozen=True)
class Bad:
    """A frame to look at.

    Attributes:
        run: its number.
        place: among the run's frames.
        badness: what the frames are sorted by.
        why: in a few words.
    """

    run: int
    place: int
    badness: float
    why: str


def worst_frames(runs: Sequence[Judged], count: int = COUNT) -> list[Bad]:
    """The frames with hands that were missed, false hands, and the largest errors; without a truth those that jitter
    most."""
    found = [bad for number, run in enumerate(runs) for bad in _bad_frames(number, run)]
    return sorted(found, key=lambda bad: (-bad.badness, bad.run, bad.place))[:count]


def pictures_of(
    runs: Sequence[Judged], worst: Sequence[Bad], models: Mapping[Side, HandModel], topic: str | None = None
) -> dict[tuple[int, int], str]:
    """Run and place -> a JPEG in base64, with the overlay and the true hands in white, where the source can be opened.

    Args:
        runs: judged.
        worst: of `worst_frames`.
        models: of the hands, to draw meshes with.
        topic: of a bag's images.
    """
    found: dict[tuple[int, int], str] = {}
    for number, run in enumerate(runs):
        wanted = {
            (run.frames[bad.place].source, run.frames[bad.place].index): bad.place for bad in worst if bad.run == number
        }
        if not wanted or run.path is None:
            continue
        try:
            with open_source(
                str(run.path), on_error=lambda error: None, topic=run.settings.get("topic") or topic
            ) as source:
                for frame in source:
                    place = wanted.pop((frame.source, frame.index), None)
                    if place is not None:
                        found[number, place] = encoded(drawn(run, place, frame, models))
                    if not wanted:
                        break
        except PrehendError:  # the image is gone, the numbers are not
            continue
    return found


def drawn(run: Judged, place: int, frame: Frame, models: Mapping[Side, HandModel]) -> Image:
    """A frame with what was said, and the true hands' skeletons in white."""
    result = with_meshes(run.frames[place].result, models)
    image = frame.image_rgb
    if (result.camera.width, result.camera.height) != (image.shape[1], image.shape[0]):
        return image
    faces = {side: model.faces for side, model in models.items()}
    has_mesh = all(len(hand.vertices_m) for hand in result.hands)
    picture = draw(image, result, faces, OverlayOptions(mesh=has_mesh, mesh_opacity=0.4, max_side_px=_LONGEST_PX))
    known = run.truth[place]
    if known is not None:
        scale = picture.shape[1] / image.shape[1]
        for hand in in_picture(known, result.camera):
            _draw_true(picture, (hand.keypoints_px + 0.5) * scale - 0.5)
    return picture


def with_meshes(result: FrameResult, models: Mapping[Side, HandModel]) -> FrameResult:
    """The result with the vertices that its rotations and shapes give, where a file left them out, and without wall
    times, which are no part of the drawing."""
    hands = tuple(_with_mesh(hand, models[hand.side]) for hand in result.hands)
    return FrameResult(result.camera, hands, result.stamp, {}, result.found)


def encoded(picture: Image) -> str:
    """JPEG in base64."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return base64.b64encode(data.tobytes()).decode()


def _with_mesh(hand: HandEstimate, model: HandModel) -> HandEstimate:
    if len(hand.vertices_m) or not (np.isfinite(hand.rotations).all() and np.isfinite(hand.joints_m).all()):
        return hand
    betas = np.nan_to_num(np.asarray(hand.betas, np.float32)).reshape(NUM_BETAS)
    posed = skin(model, np.asarray(hand.rotations, np.float32), betas)
    vertices = posed.vertices + (np.asarray(hand.joints_m[0], np.float32) - posed.joints[0])
    return replace(hand, vertices_m=vertices)


def _draw_true(picture: Image, points_px: NDArray[np.floating]) -> None:
    for bone in BONES:
        if np.isfinite(points_px[list(bone)]).all():
            draw_polyline(picture, points_px[list(bone)], _TRUE_COLOUR, 1.5, rim=1.0)


def _bad_frames(number: int, run: Judged) -> list[Bad]:
    labelled = any(row.is_labelled or row.kind == "false" for row in run.rows)
    if not labelled:
        jitter = frame_jitter(run.frames)
        return [
            Bad(number, place, value, f"the wrist jumps by {1e3 * value:.1f} mm") for place, value in jitter.items()
        ]
    found: dict[int, list[tuple[float, str]]] = {}
    for row in run.rows:
        badness, why = _badness(row.kind, known_errors(row.wrist), known_errors(row.px) / row.box_px)
        if why:
            found.setdefault(row.frame, []).append((badness, why))
    return [
        Bad(
            number,
            place,
            sum(value for value, _ in reasons),
            ", ".join(why for _, why in sorted(reasons, reverse=True)),
        )
        for place, reasons in found.items()
    ]


def _badness(kind: str, wrist_m: NDArray[np.float64], px_box: NDArray[np.float64]) -> tuple[float, str]:
    """A missed hand counts as much as an error of 150 mm, a false one as 100 mm."""
    if kind == "missed":
        return _MISSED, "missed"
    if kind == "false":
        return _FALSE, "false hand"
    if kind == "found" and len(wrist_m):
        return float(wrist_m.mean()) / 0.05, f"{1e3 * wrist_m.mean():.1f} mm wrist on wrist"
    if kind == "found" and len(px_box):
        return float(px_box.mean()) / 0.3, f"keypoints off by {100 * px_box.mean():.0f} % of the box"
    return 0.0, ""
