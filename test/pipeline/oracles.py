"""Test doubles for the networks: they read off the crop where it comes from and answer with what is known to be there.

Their image is a ramp whose pixels say where they are, so that the answer passes through the real crop, the real mirror
and the real cameras; nothing is handed around behind the pipeline's back but the truth about the scene.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np
from true_hands import EXTENTS, TrueHand

from prehend.backends.base import TensorSpec
from prehend.conventions import MIRROR, OBJECT_KIND_SIZE
from prehend.geometry.camera import project, rotation_camera_crop
from prehend.geometry.control_points import MIRRORED_ORDER, control_points
from prehend.pipeline.crops.crop import whole_crop
from prehend.pipeline.crops.letterbox import cell_centers, letterbox
from prehend.pipeline.detection.center_maps import MAPS
from prehend.types import Box, Camera

CROP, FIND, GRID, ROI = 128, 256, 32, 4


def read_affine(image: np.ndarray) -> np.ndarray:
    """(2, 3) image -> crop of a crop of the ramp, from the colours of its pixels."""
    inside = image[2] > 0.999
    rows, columns = np.nonzero(inside)
    places = np.stack([columns, rows, np.ones(len(rows))], -1)
    # the colours are rounded and the places are not, so the colours are what is fitted
    to_image, *_ = np.linalg.lstsq(places, 255.0 * image[:2, inside].T.astype(np.float64), rcond=None)
    linear = np.linalg.inv(to_image[:2].T)
    return np.column_stack([linear, -linear @ to_image[2]])


def turn_of(affine: np.ndarray) -> float:
    """How far a crop is turned against the image, as `Region.turn_rad`; a mirror leaves its second row alone [rad]."""
    return float(np.arctan2(-affine[1, 0], affine[1, 1]))


def bundle_of(
    name: str, stages: Mapping[str, dict[str, tuple[int, ...]]], outputs: Mapping[str, dict[str, tuple[int, ...]]] = {}
) -> SimpleNamespace:
    """What the pipeline asks of a `weights.Bundle`: a name, shapes of what goes into the stages and comes out of them
    by choice, a manifest."""

    def specs(shapes: dict[str, tuple[int, ...]]) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(key, ("B", *shape)) for key, shape in shapes.items())

    files = {
        stage: SimpleNamespace(inputs=specs(inputs), outputs=specs(outputs.get(stage, {})))
        for stage, inputs in stages.items()
    }
    return SimpleNamespace(name=name, stages=files, manifest={})


class Oracle:
    """Answers for the scene's hands as a perfect hand network would.

    Args:
        camera: of the scene.
        tells_places: it is one of those that say where the joints are before the hand stage runs, and how surely.
    """

    name = "oracle"

    def __init__(self, camera: Camera, tells_places: bool = True):
        maps = (8, CROP // 4, CROP // 4)
        stages: dict[str, dict[str, tuple[int, ...]]] = {
            "encode": {"image": (3, CROP, CROP)},
            "object": {"object_source": maps, "hand_map": maps, "hand_box": (4,), "object_box": (4,)},
            "hand": {"hand_map": maps, "hand_box": (4,), "object_roi": (2, ROI, ROI), "grasp": (1,)},
        }
        if tells_places:
            stages["object"]["object_kind"] = (OBJECT_KIND_SIZE,)
            stages["hand"]["places"] = (21, 2)
        further = {"encode": {"places": (21, 2)}, "hand": {"keypoint_log_std": (21,)}} if tells_places else {}
        self.bundle = bundle_of("oracle", stages, further)
        self.tells_places = tells_places
        self.turns: list[float] = []
        self.camera = camera
        self.scene: list[TrueHand] = []
        self.calls: Counter[str] = Counter()
        self.batches: list[tuple[str, int]] = []
        self.told: list[np.ndarray] = []
        self.kinds: np.ndarray | None = None
        self.sure_of_side = 5.0
        self.spoil: Callable[[str, dict[str, np.ndarray]], None] = lambda stage, outputs: None
        self.closed = False

    def infer(self, stage: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        specs = {spec.name: spec.shape for spec in self.bundle.stages[stage].inputs}
        assert inputs.keys() == specs.keys()
        for name, array in inputs.items():
            assert array.dtype == np.float32, name
            assert array.shape[1:] == specs[name][1:], name
        self.calls[stage] += 1
        self.batches.append((stage, len(next(iter(inputs.values())))))
        outputs = {"encode": self._encode, "object": self._object, "hand": self._hand}[stage](inputs)
        outputs = {name: np.asarray(array, np.float32) for name, array in outputs.items()}
        self.spoil(stage, outputs)
        return outputs

    def close(self) -> None:
        self.closed = True

    def _encode(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = len(inputs["image"])
        maps = np.zeros((count, 8, CROP // 4, CROP // 4))
        grasp, presence, side = np.full((count, 1), -5.0), np.full((count, 1), -5.0), np.zeros((count, 1))
        places = np.full((count, 21, 2), 0.5)
        for k, image in enumerate(inputs["image"]):
            maps[k, 6] = -1
            if not image.any():
                continue
            affine = read_affine(image)
            number = self._nearest(affine)
            self.turns.append(turn_of(affine))
            maps[k, :6, 0, 0], maps[k, 6, 0, 0] = affine.ravel(), number
            if number >= 0:
                hand = self.scene[number]
                presence[k], grasp[k] = hand.presence, 4.0 if hand.grasp else -4.0
                mirrored = np.linalg.det(affine[:, :2]) < 0
                side[k] = self.sure_of_side * (1 if (hand.side == "left") == mirrored else -1)
                if self.tells_places:
                    places[k] = self._places(hand, affine, whole_crop(CROP))
        logits = {"grasp_logit": grasp, "presence_logit": presence, "side_logit": side}
        further = {"places": places} if self.tells_places else {}
        return {**logits, "hand_map": maps, "object_source": maps, **further}

    def _places(self, hand: TrueHand, affine: np.ndarray, box: np.ndarray) -> np.ndarray:
        pixels = project(hand.joints, self.camera) @ affine[:, :2].T + affine[:, 2]
        return (pixels - box[:2]) / (box[2:] - box[:2])

    def _object(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        points, scales = [], []
        focal = np.sqrt(self.camera.K[0, 0] * self.camera.K[1, 1])
        self.kinds = inputs.get("object_kind")
        for code, box in zip(inputs["object_source"][:, :, 0, 0], inputs["object_box"], strict=True):
            affine, number = code[:6].reshape(2, 3).astype(float), int(code[6])
            T = self.scene[number].T_camera_object if number >= 0 else None
            truth = control_points(EXTENTS) if T is None else control_points(EXTENTS) @ T[:3, :3].T + T[:3, 3]
            pixels = project(truth, self.camera) @ affine[:, :2].T + affine[:, 2]
            if np.linalg.det(affine[:, :2]) < 0:
                pixels = pixels[list(MIRRORED_ORDER)]
            inside = (pixels - box[:2]) / (box[2:] - box[:2])
            # ten cells know it, the others are far off and say so
            cells = np.concatenate([np.repeat(inside[:, None], 10, 1), np.full((21, 6, 2), 0.9)], 1)
            confidence = np.repeat(np.array([[0.9] * 10 + [0.05] * 6]), 21, 0)
            points.append(np.concatenate([cells, confidence[..., None]], -1))
            share = 0.1 * focal * np.sqrt(abs(np.linalg.det(affine[:, :2]))) / (truth[-1, 2] or 1.0) / CROP
            scales.append([np.log(max(share, 1e-6)), -5.0])
        return {
            "object_roi": np.ones((len(points), 2, ROI, ROI)),
            "object_points": np.stack(points),
            "object_scale": np.array(scales),
        }

    def _hand(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.told.append(inputs["grasp"][:, 0].copy())
        for roi, s in zip(inputs["object_roi"], inputs["grasp"][:, 0], strict=True):
            assert (roi == s).all(), "without an object its feature is zero"
        count = len(inputs["hand_map"])
        out = {
            "keypoints": np.zeros((count, 21, 2)),
            "rotations": np.broadcast_to(np.eye(3), (count, 16, 3, 3)).copy(),
            "betas": np.zeros((count, 10)),
            "visibility_logit": np.full((count, 21), 3.0),
            "code": np.zeros((count, 5)),
        }
        if self.tells_places:
            out["keypoint_log_std"] = np.full((count, 21), np.log(0.01))
        for k, (code, box) in enumerate(zip(inputs["hand_map"][:, :, 0, 0], inputs["hand_box"], strict=True)):
            affine, number = code[:6].reshape(2, 3).astype(float), int(code[6])
            if number < 0:
                continue
            hand = self.scene[number]
            out["keypoints"][k] = self._places(hand, affine, box)
            out["betas"][k] = hand.betas
            center = np.linalg.solve(affine[:, :2], np.full(2, (CROP - 1) / 2) - affine[:, 2])
            rotations = hand.rotations.copy()
            rotations[0] = rotation_camera_crop(center, self.camera, turn_of(affine)).T @ rotations[0]
            mirrored = np.linalg.det(affine[:, :2]) < 0
            out["rotations"][k] = MIRROR @ rotations @ MIRROR if mirrored else rotations
        return out

    def _nearest(self, affine: np.ndarray) -> int:
        """Number of the hand in the middle of the crop, -1 where there is none."""
        middle = np.full(2, (CROP - 1) / 2)
        for number, hand in enumerate(self.scene):
            pixels = project(hand.joints, self.camera) @ affine[:, :2].T + affine[:, 2]
            if np.linalg.norm(np.array(Box.around(pixels).center) - middle) < 24 and np.ptp(pixels, axis=0).max() > 30:
                return number
        return -1


class OracleFinder:
    """Answers for the scene's hands as a perfect finder would."""

    name = "oracle"

    def __init__(self, oracle: Oracle):
        self.bundle = bundle_of("oracle-finder", {"find": {"image": (3, FIND, FIND)}})
        self._oracle = oracle
        self.calls = 0
        self.closed = False

    def infer(self, stage: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert stage == "find"
        assert inputs["image"].shape == (1, 3, FIND, FIND)
        self.calls += 1
        out = {name: np.full((1, n, GRID, GRID), 1e-3, np.float32) for name, n in MAPS.items()}
        out["hand_heat"] -= 6
        out["held_logit"] -= 6
        size = np.zeros((self._oracle.camera.height, self._oracle.camera.width, 3), np.uint8)
        picture = letterbox(size, FIND)
        centers = cell_centers(GRID, FIND)
        for hand in self._oracle.scene:
            points = picture.to_square(project(hand.joints, self._oracle.camera))
            low, high = points.min(0), points.max(0)
            column, row = (int(np.abs(centers - middle).argmin()) for middle in (low + high) / 2)
            here = np.array([centers[column], centers[row]])
            side = hand.found_as or hand.side
            out["hand_heat"][0, 0, row, column] = 3
            out["side_logit"][0, 0, row, column] = -3 if side == "left" else 3
            out["hand_box"][0, :, row, column] = [*(here - low), *(high - here)]
            if hand.T_camera_object is not None:
                T = hand.T_camera_object
                thing = picture.to_square(
                    project(control_points(EXTENTS) @ T[:3, :3].T + T[:3, 3], self._oracle.camera)
                )
                out["held_logit"][0, 0, row, column] = 3
                out["object_box"][0, :, row, column] = [*(thing.min(0) - here), *(thing.max(0) - here)]
        return out

    def close(self) -> None:
        self.closed = True
