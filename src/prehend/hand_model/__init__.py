"""The hand model: our own, which ships with the package, or a user's MANO file behind the same class."""

from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.model import HandModel
from prehend.hand_model.retarget import betas_for_joints
from prehend.hand_model.skinning import Skinned, skin

__all__ = ["HandModel", "Skinned", "betas_for_joints", "load_hand_model", "skin"]
