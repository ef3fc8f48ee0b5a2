"""Samples of datasets as our networks learn from them: labels of MANO's hand as those of ours.

The networks pose our hand, which is not MANO: it has its joints and parents, but other bone lengths, another rest pose
and another space of shapes. MANO's numbers are therefore never used as they are. See README.md, "Training on them".
"""

from dataclasses import replace

import numpy as np

from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, NUM_MANO_JOINTS
from prehend.geometry.rotations import nearest_rotation, rotation_between
from prehend.hand_model import HandModel, load_hand_model, skin
from prehend.hand_model.retarget import betas_for_joints
from prehend.types import FloatArray
from prehend_training.datasets.base import Dataset
from prehend_training.sample import HandLabel, Sample

_PLACE = tuple(JOINTS_FROM_MANO.index(joint) for joint in range(NUM_MANO_JOINTS))
"""Where each of MANO's 16 joints is among the 21."""
_KNUCKLES = [_PLACE[joint] for joint, parent in enumerate(MANO_PARENTS) if parent == 0]


def as_trained(sample: Sample, dataset: Dataset) -> Sample:
    """A dataset's sample with the pose and shape of our hand where the user's MANO is there to work them out, without
    any where it is not, and without its segmentation where that may take a held object for the hand."""
    hands = tuple(_with_own_pose(hand, dataset) for hand in sample.hands)
    return replace(sample, hands=hands, segmentation=sample.segmentation if dataset.masks_are_hands else None)


def _with_own_pose(hand: HandLabel, dataset: Dataset) -> HandLabel:
    model = dataset.hand_model(hand.side)
    if model is None or hand.rotations is None or hand.betas is None:
        return replace(hand, rotations=None, betas=None)
    rotations, betas = own_pose(hand.rotations, hand.betas, hand.joints_m, model)
    return replace(hand, rotations=rotations, betas=betas)


def own_pose(
    rotations: FloatArray, betas: FloatArray, joints_m: FloatArray, model: HandModel
) -> tuple[FloatArray, FloatArray]:
    """Our hand in the pose of another one: every bone points where the joints say, turned about itself as the other
    model's bone is.

    The palm is the rotation that fits the five knuckles best. What remains are differences in bone length and in where
    the knuckles are in the palm.

    Args:
        rotations, betas: (16, 3, 3) and (10,) of `model`.
        joints_m: (21, 3) of that pose, any frame that `rotations[0]` turns to.
        model: the other hand, of the hand's side.

    Returns:
        (16, 3, 3) and (10,) of our hand of that side.
    """
    ours = load_hand_model(side=model.side)
    shape = betas_for_joints(ours, model, betas)
    rest = skin(ours, np.broadcast_to(np.eye(3), (NUM_MANO_JOINTS, 3, 3)), shape).joints.astype(np.float64)
    joints = np.asarray(joints_m, np.float64)
    theirs = np.array(rotations, np.float64)
    turns = theirs.copy()
    turns[0] = nearest_rotation((joints[_KNUCKLES] - joints[0]).T @ (rest[_KNUCKLES] - rest[0]))
    for joint in range(1, NUM_MANO_JOINTS):
        theirs[joint] = theirs[MANO_PARENTS[joint]] @ theirs[joint]
        place = _PLACE[joint]
        near = theirs[joint] @ (rest[place + 1] - rest[place])
        bone = joints[place + 1] - joints[place]
        turn = rotation_between(near / np.linalg.norm(near), bone / np.linalg.norm(bone))
        turns[joint] = turn @ theirs[joint]
    parents = turns[list(MANO_PARENTS[1:])]
    return np.concatenate([turns[:1], parents.transpose(0, 2, 1) @ turns[1:]]), shape
