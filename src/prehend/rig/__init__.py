"""Several calibrated cameras as one: what each of them sees of a hand becomes one hand in the rig's frame."""

from prehend.rig.calibration import RigCalibration, RigCamera
from prehend.rig.views.fusion import fuse
from prehend.rig.views.records import FusedHand, View, ViewError

__all__ = ["FusedHand", "RigCalibration", "RigCamera", "View", "ViewError", "fuse"]
