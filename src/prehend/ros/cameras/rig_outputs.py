"""What a rig publishes: fused hands as one camera's are, how the views agree, and each camera's image with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.node import Node

from prehend.draw.overlay import draw
from prehend.rig.show import in_camera
from prehend.rig.views.records import FusedHand, RigResult, View, ViewError
from prehend.ros.cameras.lane import Lane, Opened
from prehend.ros.conversion.convert import ModelFacts, without_metres
from prehend.ros.conversion.images import jpeg_message
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.messages import COMPRESSED_IMAGE, RIG_HANDS, encode, make
from prehend.ros.nodes.diagnostics import Stats
from prehend.ros.outputs.publishing import Outputs
from prehend.ros.params import NodeParams
from prehend.ros.topics.quality import publisher
from prehend.types import FrameResult

_UPPER = np.triu_indices(3)


class RigOutputs:
    """The publishers of a rig. `publish` is called from the worker's thread.

    Args:
        node: to publish with.
        facts: of the models.
        params: of the node.
        stats, stamps: of the sets.
        lanes: the cameras, for their images.
    """

    def __init__(
        self, node: Node, facts: ModelFacts, params: NodeParams, stats: Stats, stamps: Stamps, lanes: Mapping[str, Lane]
    ) -> None:
        self._facts, self._params, self._stamps = facts, params, stamps
        self.outputs = Outputs(node, facts, replace(params, publish_overlay=False), stats, stamps)
        self._rig = publisher(node, RIG_HANDS, "~/rig", 10)
        self._overlays = {
            name: publisher(lane.within, COMPRESSED_IMAGE, "~/overlay/compressed", 1) for name, lane in lanes.items()
        }

    @property
    def params(self) -> NodeParams:
        """Of the node; replaced as a whole when one changes."""
        return self._params

    @params.setter
    def params(self, params: NodeParams) -> None:
        self._params, self.outputs.params = params, replace(params, publish_overlay=False)

    def publish(self, header: Any, opened: Mapping[str, Opened], result: RigResult | FrameResult) -> None:
        """Publish a set under the header given; a result of one camera, which no pose is known of, has no metres."""
        self._stamps.tracking_s(header.stamp)
        image = next(iter(opened.values())).image
        if isinstance(result, FrameResult):
            self.outputs.publish(header, image, without_metres(result))
            return
        self.outputs.publish(header, image, result.result)
        self._rig.publish(encode(rig_message(header, result)))
        for name, overlay in self._overlays.items():
            if self._params.publish_overlay and name in opened and overlay.get_subscription_count():
                overlay.publish(encode(self._picture(opened[name], result, result.views.get(name))))

    def _picture(self, one: Opened, result: RigResult, view: View | None) -> Any:
        image = one.image if view is None else draw(one.image, in_camera(result, view), self._facts.faces)
        return jpeg_message(one.header, image)


def rig_message(header: Any, result: RigResult) -> Any:
    """A prehend_ros/RigHandArray."""
    hands = [
        make(
            "prehend_ros/msg/RigHand",
            track_id=one.hand.track_id,
            views=[_view_message(view, result.views[view.camera].late_s) for view in one.views],
            joint_covariance_m2=_upper(one),
        )
        for one in result.fused
    ]
    return make(RIG_HANDS, header=header, hands=hands, lead=result.lead, cameras=sorted(result.views))


def _view_message(view: ViewError, late_s: float) -> Any:
    return make(
        "prehend_ros/msg/RigView",
        camera=view.camera,
        track_id=view.track_id,
        used=np.asarray(view.used, np.bool_),
        rms_px=float(view.rms_px),
        rms_m=float(view.rms_m),
        apart_m=float(view.apart_m),
        late_s=float(late_s),
    )


def _upper(one: FusedHand) -> Any:
    return np.ascontiguousarray(one.joint_covariance_m2[:, _UPPER[0], _UPPER[1]], np.float32).ravel()
