"""MANO's parameters (Romero et al., SIGGRAPH Asia 2017) as an .npz: pose, betas and translation of each hand.

`pose` (N, 48): axis-angle of the 16 joints in MANO's order, the wrist first [rad]; the mean pose is not taken off, so
readers use `flat_hand_mean=True` and no PCA. `betas` (N, 10). `trans` (N, 3) [m] is added to the model's vertices, in
the camera frame (MANO's wrist does not lie at its origin, so it is not the wrist). `side` (N,), `track` (N,), `stamp`
(N,) [s]. `hand_model`, `hand_model_sha256`: what the numbers belong to, and `is_mano`.

**Only where the estimator was given a user's MANO file are these MANO's parameters.** Otherwise they belong to our
hand: the joints' rotations mean nearly the same (same tree, same axes, zero is the flat hand), the betas mean
something else altogether. Left hands belong to the mirror image of the right hand's model, which MANO_LEFT.pkl is but
for the signs of its first shape directions.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_finite, check_shape
from prehend.conventions import NUM_BETAS, NUM_MANO_JOINTS, SIDES, Side
from prehend.documents import read_arrays
from prehend.errors import InvalidInput, SourceError, one_line
from prehend.files import replace_file
from prehend.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from prehend.hand_model import HandModel
from prehend.types import FloatArray, HandEstimate

SCHEMA = "prehend.mano/1"


class ManoParameters(NamedTuple):
    """One hand.

    Attributes:
        pose: (48,) axis-angle of the 16 joints [rad].
        betas: (10,).
        trans: (3,) [m], in the camera frame.
    """

    pose: FloatArray
    betas: FloatArray
    trans: FloatArray

    @property
    def rotations(self) -> FloatArray:
        """(16, 3, 3)."""
        return matrix_from_axis_angle(self.pose.reshape(NUM_MANO_JOINTS, 3))


@dataclass(frozen=True)
class ManoFile:
    """What an .npz of `write_mano` holds.

    Attributes:
        pose, betas, trans: (N, 48), (N, 10), (N, 3).
        side: (N,) "left" or "right".
        track: (N,) track ids.
        stamp: (N,) [s], NaN where there is none.
        hand_model, hand_model_sha256: what the parameters belong to.
        is_mano: False where they belong to another model of MANO's form, such as ours.
    """

    pose: FloatArray
    betas: FloatArray
    trans: FloatArray
    side: tuple[str, ...]
    track: NDArray[np.int64]
    stamp: FloatArray
    hand_model: str
    hand_model_sha256: str
    is_mano: bool


def mano_parameters(rotations: FloatArray, betas: FloatArray, wrist_m: FloatArray, model: HandModel) -> ManoParameters:
    """The parameters with which `model` gives a hand's mesh in the camera frame.

    Args:
        rotations: (16, 3, 3) as in `HandEstimate`.
        betas: (10,).
        wrist_m: (3,) place of the wrist in the camera frame (`joints_m[0]`) [m].
        model: of the hand's side: `estimator.hand_models[hand.side]`.

    Raises:
        InvalidInput: a shape is wrong or a value not finite.
    """
    R, shape, wrist = (np.asarray(a, np.float64) for a in (rotations, betas, wrist_m))
    check_shape("rotations", R, [NUM_MANO_JOINTS, 3, 3])
    check_shape("betas", shape, [NUM_BETAS])
    check_shape("wrist_m", wrist, [3])
    for name, array in (("rotations", R), ("betas", shape), ("wrist_m", wrist)):
        check_finite(name, array)
    rest_wrist = model.joints_template[0] + model.joints_shapedirs[0] @ shape
    return ManoParameters(axis_angle_from_matrix(R).ravel(), shape, wrist - rest_wrist)


def write_mano(
    path: Path | str, hands: Sequence[tuple[float | None, HandEstimate]], models: dict[Side, HandModel]
) -> None:
    """Write the parameters of hands over time.

    Args:
        path: of the .npz.
        hands: stamp [s] and hand, in any order.
        models: the hand models of both sides: `estimator.hand_models`.

    Raises:
        InvalidInput: there are no hands.
        OutputError: the file cannot be written.
    """
    if not hands:
        raise InvalidInput("there are no hands to write: MANO parameters need at least one")
    rows = [mano_parameters(h.rotations, h.betas, h.joints_m[0], models[h.side]) for _, h in hands]
    model = models["right"]
    content = {
        "schema": np.array(SCHEMA),
        "pose": np.stack([row.pose for row in rows]),
        "betas": np.stack([row.betas for row in rows]),
        "trans": np.stack([row.trans for row in rows]),
        "side": np.array([h.side for _, h in hands]),
        "track": np.array([h.track_id for _, h in hands], np.int64),
        "stamp": np.array([np.nan if stamp is None else stamp for stamp, _ in hands], np.float64),
        "hand_model": np.array(model.name),
        "hand_model_sha256": np.array(model.sha256),
        "is_mano": np.array(model.flexion_axes is None),
    }
    data = io.BytesIO()
    np.savez_compressed(data, allow_pickle=False, **content)
    replace_file(Path(path), data.getvalue())


def read_mano_parameters(path: Path | str) -> ManoFile:
    """Read a file of `write_mano`.

    Raises:
        SourceError: it is missing, corrupt, or something else.
    """
    content = read_arrays(Path(path))
    try:
        if str(content["schema"]) != SCHEMA:
            raise SourceError(f"{path}: schema is '{content['schema']}', expected '{SCHEMA}'")
        count = len(content["pose"])
        for name, size in (("pose", 3 * NUM_MANO_JOINTS), ("betas", NUM_BETAS), ("trans", 3)):
            check_shape(name, content[name], [count, size])
        sides = tuple(str(side) for side in content["side"])
        if len(sides) != count or not set(sides) <= set(SIDES):
            raise SourceError(f"{path}: 'side' does not name a side for each of the {count} hands")
        return ManoFile(
            pose=content["pose"].astype(np.float64),
            betas=content["betas"].astype(np.float64),
            trans=content["trans"].astype(np.float64),
            side=sides,
            track=content["track"].astype(np.int64),
            stamp=content["stamp"].astype(np.float64),
            hand_model=str(content["hand_model"]),
            hand_model_sha256=str(content["hand_model_sha256"]),
            is_mano=bool(content["is_mano"]),
        )
    except KeyError as error:
        raise SourceError(f"{path}: no MANO parameters of ours, it lacks {error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read: {one_line(error)}") from error
