"""Frames in, results out: find, follow, crop, infer, decode."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from prehend.backends import Backend, open_backend
from prehend.check import check_image
from prehend.conventions import Side
from prehend.errors import InvalidInput, WeightsMismatch
from prehend.geometry.camera import check_distortion, estimated_camera, scale_camera
from prehend.hand_model import HandModel, load_hand_model
from prehend.object_catalogue import ObjectModel, find_object, load_objects
from prehend.pipeline.config import EstimatorConfig
from prehend.pipeline.crop import Crop, CropSpec, check_box, cut
from prehend.pipeline.decode import DecodedHand, Rejected, decode_hand
from prehend.pipeline.detect import Detector, is_detector
from prehend.pipeline.grasp import instant_grasp
from prehend.pipeline.hands import HandModels
from prehend.pipeline.held import wrist_pose
from prehend.pipeline.infer import Reader, Seen, Unseen
from prehend.pipeline.look import Looker
from prehend.pipeline.network import HandNetwork
from prehend.pipeline.object_pose import BOX_SCORE, choose, decode_object
from prehend.pipeline.track import MIN_INSIDE, Track, inside_share
from prehend.pipeline.tracker import Tracker
from prehend.types import Box, Camera, FoundHand, FrameResult, HandEstimate, ObjectEstimate
from prehend.weights import Bundle, load_bundle

Image = NDArray[np.uint8]


class _Clock:
    """Wall times of the stages of one picture [ms]."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """The stage of this name ends now."""
        now = time.perf_counter()
        self._laps[name], self._last = 1e3 * (now - self._last), now

    def done(self) -> dict[str, float]:
        """All stages, and their total."""
        return {**self._laps, "total": 1e3 * (self._last - self._began)}


def _as_tuple(models: ObjectModel | Sequence[ObjectModel] | None) -> tuple[ObjectModel, ...]:
    if models is None:
        return ()
    return (models,) if isinstance(models, ObjectModel) else tuple(models)


class Estimator:
    """From pictures to hands; remembers the hands of the last picture.

    Pictures of one camera go in one after the other; one estimator serves one camera and one thread.
    """

    def __init__(
        self,
        backend: Backend,
        finder: Backend | None = None,
        *,
        config: EstimatorConfig | None = None,
        hand_model: HandModel | None = None,
        object_model: ObjectModel | Sequence[ObjectModel] | None = None,
    ):
        """Put an estimator together.

        Args:
            backend: runs the hand network.
            finder: runs the detector, of either kind; None where every call brings boxes.
            config: None for the defaults.
            hand_model: of either side; None for the shipped one.
            object_model: what the hands hold, or all that they may hold; None where it is not known: then a held
                object is a box of estimated size.

        Raises:
            WeightsMismatch: the network was trained with another hand model, or `finder` runs no detector.
        """
        self._backend = backend
        self._detector = None if finder is None else Detector(finder)
        self._network = HandNetwork(backend)
        self._config = config or EstimatorConfig()
        self._hands = HandModels(backend.bundle, hand_model)
        self._object_models = _as_tuple(object_model)
        self._looker = Looker(self._detector, self._config)
        kinds = np.stack([model.kind for model in self._object_models]) if self._object_models else None
        self._reader = Reader(self._network, self._config, kinds)
        self._tracker = Tracker(
            self._config.track, self._config.grasp, self._config.side, self._config.smooth, self._network.upright
        )
        self._drops: Counter[str] = Counter()

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "unihope-s",
        backend: str = "onnx",
        *,
        finder: str | Path = "palm",
        config: EstimatorConfig | None = None,
        object_id: str | Sequence[str] | None = None,
        objects: Path | None = None,
        hand_model: Path | None = None,
        threads: int = 0,
    ) -> "Estimator":
        """Load weights and open them on a backend.

        Args:
            model, finder: names of weights or folders with them.
            backend: "onnx" or "torch".
            config: None for the defaults.
            object_id: what the hands hold, or all that they may hold, from the object catalogue; None where it is not
                known.
            objects: folder of the catalogue, None for the shipped one.
            hand_model: a hand model's file, None for the shipped one.
            threads: of the processor, 0 for all.

        Raises:
            UnknownName: no such weights, backend or object.
            AssetError: a file is missing or corrupt.
            WeightsMismatch: `model` has not the stages of a hand network, or `finder` not that of a detector.
        """
        bundle, finder_bundle = load_bundle(model), load_bundle(finder)
        if not (stages := {"encode", "object", "hand"}) <= set(bundle.stages):
            raise WeightsMismatch(f"weights '{bundle.name}' have not the stages {', '.join(sorted(stages))}")
        if not is_detector(finder_bundle):
            raise WeightsMismatch(f"weights '{finder_bundle.name}' have neither the stage detect nor find")
        names = [object_id] if isinstance(object_id, str) else list(object_id or ())
        catalogue = load_objects(objects) if names else {}
        things = [find_object(catalogue, name) for name in names]
        return cls(
            open_backend(backend, bundle, threads=threads),
            open_backend(backend, finder_bundle, threads=threads),
            config=config,
            hand_model=load_hand_model(hand_model),
            object_model=things,
        )

    @property
    def bundle(self) -> Bundle:
        """The hand network's weights and where they come from."""
        return self._backend.bundle

    @property
    def hand_models(self) -> Mapping[Side, HandModel]:
        """The hand models whose meshes come out; their faces are the faces of `HandEstimate.vertices_m`."""
        return self._hands.by_side

    @property
    def drops(self) -> dict[str, int]:
        """How many hands were given up since the start, by reason; one that comes back soon keeps its number.

        "no_hand": the crop shows none; "left_image"; "duplicate": another track is on the same hand;
        "too_many": surer ones are as many as may be; "bad_fit": joints and keypoints disagree; "no_position": no sound
        place in metres; "not_finite", "bad_rotation": the network's numbers are none.
        """
        return {reason: count for reason, count in self._drops.items() if count}

    def estimate(
        self,
        image: Image,
        camera: Camera | None = None,
        stamp: float | None = None,
        boxes: Sequence[FoundHand] | None = None,
    ) -> FrameResult:
        """Everything about one picture.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: for this image size, or one of the same aspect ratio; None has it estimated.
            stamp: when the picture was taken [s]; a jump starts from nothing. None for a picture on its own, or for
                the next of a video at 30 Hz: the first one says at once whether something is grasped.
            boxes: the hands of this picture, instead of the detector's and the tracks'; each gets an answer unless
                the answer is unsound.

        The detector looks once in `TrackConfig.find_interval_s` while hands are followed, in every picture otherwise.
        Where a normal look finds none it looks wide, for small hands: at once for a picture on its own, at most every
        `schedule.WIDE_S` in a video; that costs about four normal looks.

        Raises:
            InvalidInput: the image is not (H, W, 3) uint8, the camera does not belong to it, a box does not touch
                it, or there is neither a detector nor boxes.
        """
        check_image("image", image)
        size = (image.shape[1], image.shape[0])
        if stamp is not None and not math.isfinite(stamp):
            raise InvalidInput(f"stamp is {stamp}, expected a finite number of seconds")
        view = self._camera_for(camera, size)
        for hand in boxes or ():
            check_box(hand.box_px, size)
            check_box(hand.box_px if hand.region is None else hand.region.box, size)
        clock = _Clock()
        if not self._config.tracking:
            self._tracker.reset()
        self._tracker.start_frame(size, stamp)
        looked = self._looker.look(image, self._tracker, boxes)
        clock.lap("find")
        tracks, crops = self._crops(image)
        clock.lap("crop")
        seen = self._reader.read(tracks, crops, lambda track: self._cut(image, track), given=boxes is not None)
        clock.lap("infer")
        hands = [self._hand(one, view, stamp) for one in seen]
        if boxes is None:
            self._drops["duplicate"] += len(self._tracker.merge())
            self._drops["too_many"] += len(self._tracker.limit())
        in_view = {track.track_id for track in self._tracker.tracks if not track.missed}
        kept = [hand for hand in hands if hand is not None and hand.track_id in in_view]
        kept.sort(key=lambda hand: hand.track_id)
        clock.lap("decode")
        return FrameResult(view, tuple(kept), stamp, clock.done(), found=looked)

    def warm_up(self) -> None:
        """Run every stage once on nothing, so that the first picture does not wait for what happens once."""
        size = self._network.crop_size
        spec = CropSpec.from_box(Box(0, 0, size - 1, size - 1), "right", (size, size), size=size)
        crops = [Crop(spec, np.zeros((3, size, size), np.float32))]
        self._network.answer(crops, self._network.encode(crops), [0], [True])
        if self._detector is not None:
            self._detector.warm_up()

    def reset(self) -> None:
        """Forget all hands; the numbers of their tracks are not used again."""
        self._tracker.reset()

    def close(self) -> None:
        """Let go of the backends."""
        self._backend.close()
        if self._detector is not None:
            self._detector.close()

    def __enter__(self) -> "Estimator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _camera_for(self, camera: Camera | None, size: tuple[int, int]) -> Camera:
        if camera is None:
            return estimated_camera(*size, self._config.fov_deg)
        check_distortion(camera)
        return scale_camera(camera, *size)

    def _crops(self, image: Image) -> tuple[list[Track], list[Crop]]:
        """The tracks to look at that are in the image, and their crops."""
        tracks, crops = [], []
        for track in self._tracker.wanted:
            crop = self._cut(image, track)
            if crop is None:
                self._missed(Unseen(track, "left_image"))
            else:
                tracks.append(track)
                crops.append(crop)
        return tracks, crops

    def _cut(self, image: Image, track: Track) -> Crop | None:
        size = (image.shape[1], image.shape[0])
        if inside_share(track.region.box, size) <= 0:
            return None
        spec = CropSpec.from_region(track.region, track.side, size, track.object_box_px, self._network.crop_size)
        return cut(image, spec)

    def _missed(self, unseen: Unseen) -> None:
        if self._tracker.miss(unseen.track):
            self._drops[unseen.reason] += 1

    def _hand(self, seen: Seen | Unseen, camera: Camera, stamp: float | None) -> HandEstimate | None:
        """The record of a hand, None for one that was not seen or is not to be believed."""
        if isinstance(seen, Unseen):
            self._missed(seen)
            return None
        track = seen.track
        self._tracker.check_side(track)
        model = self._hands.by_side[track.side]
        measured = self._decode(seen, camera, model)
        if isinstance(measured, Rejected):
            self._missed(Unseen(track, measured.reason))
            return None
        decoded = track.smoother.smooth(measured, model)
        grasp = track.grasp.update(seen.grasp, stamp) if self._config.tracking else instant_grasp(seen.grasp, stamp)
        held = self._held(seen, measured, decoded, camera)
        if grasp.state == "not_grasping":
            track.held.reset()
        track_on = held.box_px if held is not None and held.score >= BOX_SCORE else None
        self._tracker.confirm(track, measured.keypoints_px, track_on, seen.presence)
        return HandEstimate(
            track_id=track.track_id,
            side=track.side,
            score=seen.presence,
            box_px=Box.around(decoded.keypoints_px),
            keypoints_px=decoded.keypoints_px,
            joints_m=decoded.joints_m,
            vertices_m=decoded.vertices_m,
            rotations=decoded.rotations,
            betas=decoded.betas,
            visible=decoded.visible,
            grasp=grasp,
            held_object=None if grasp.state == "not_grasping" else held,
            fit_error_px=decoded.fit_error_px,
            position_std_m=decoded.position_std_m,
            keypoint_std_px=decoded.keypoint_std_px,
        )

    def _decode(self, seen: Seen, camera: Camera, model: HandModel) -> DecodedHand | Rejected:
        answer = seen.answer._replace(betas=self._hands.shape(seen.answer.betas))
        decoded = decode_hand(answer, seen.spec, camera, model)
        if isinstance(decoded, Rejected):
            return decoded
        if fault := self._fault(decoded, camera):
            return Rejected(fault)
        size, elapsed_s = (camera.width, camera.height), seen.track.unseen_s
        error_px = decoded.fit_error_px
        factor = seen.track.depth.factor(decoded.joints_m, decoded.keypoints_px, error_px, size, elapsed_s)
        return decoded.moved_away(factor)

    def _held(self, seen: Seen, measured: DecodedHand, shown: DecodedHand, camera: Camera) -> ObjectEstimate | None:
        """What a hand holds; its pose is smoothed with the hand."""
        things = seen.answer.things
        if not things:
            return None
        model = self._chosen(seen)
        thing = things[0 if model is None or len(things) == 1 else self._object_models.index(model)]
        held = decode_object(thing, seen.spec, camera, measured, model)
        if held is None or model is None or held.T_camera_object is None:
            return held
        before, after = (wrist_pose(hand.rotations, hand.joints_m) for hand in (measured, shown))
        return replace(held, T_camera_object=seen.track.held.smooth(held.T_camera_object, before, after, model))

    def _chosen(self, seen: Seen) -> ObjectModel | None:
        """Which of the candidates a hand holds, by this frame and those before; None without candidates."""
        if len(self._object_models) < 2:
            return self._object_models[0] if self._object_models else None
        things, held = seen.answer.things, seen.track.held
        if len(things) < len(self._object_models):  # weights that cannot be told
            return self._object_models[0]
        number = choose(things, held.evidence(len(things)))
        held.add_evidence([thing.match for thing in things])
        return self._object_models[number]

    def _fault(self, decoded: DecodedHand, camera: Camera) -> str:
        """Why a decoded hand is not to be believed, empty if it is."""
        box = Box.around(decoded.keypoints_px)
        if inside_share(box, (camera.width, camera.height)) < MIN_INSIDE:
            return "left_image"
        if decoded.fit_error_px > self._config.max_fit_error * max(box.width, box.height):
            return "bad_fit"
        return ""
