"""Everything the node publishes about an image."""

import time
from typing import Any

from rclpy.node import Node

from prehend.draw.overlay import draw
from prehend.io.pixels.images import Image
from prehend.ros.conversion.convert import (
    ModelFacts,
    event_message,
    hand_array,
    model_info,
    timing_message,
    track_array,
    transforms,
    with_hypotheses,
    without_metres,
)
from prehend.ros.conversion.hypotheses import hypotheses_array
from prehend.ros.conversion.images import jpeg_message
from prehend.ros.conversion.markers import marker_array
from prehend.ros.frames.target_frame import TargetFrame
from prehend.ros.inputs.mirror import mirror_pixels
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.messages import (
    COMPRESSED_IMAGE,
    HAND_ARRAY,
    HAND_EVENT,
    HAND_HYPOTHESES,
    HAND_TIMING,
    HAND_TRACKS,
    MARKERS,
    MODEL_INFO,
    TF,
    encode,
)
from prehend.ros.nodes.diagnostics import Stats
from prehend.ros.outputs.extra import ExtraOutputs
from prehend.ros.params import NodeParams
from prehend.ros.topics.quality import LATCHED, publisher
from prehend.types import FrameResult

_TF_DEPTH = _EVENTS_DEPTH = 100


class Outputs:
    """The publishers of results. `publish` is called from the worker's thread.

    Attributes:
        params: replaced as a whole when a parameter changes.
        target: moves hands to another frame than the camera's; None where that is not asked for.
    """

    def __init__(self, node: Node, facts: ModelFacts, params: NodeParams, stats: Stats, stamps: Stamps) -> None:
        self._facts, self._stats, self._stamps = facts, stats, stamps
        self.params = params
        self.target = TargetFrame(node, params.target_frame) if params.target_frame else None
        self._hands = publisher(node, HAND_ARRAY, "~/hands", 10)
        self._tracks = publisher(node, HAND_TRACKS, "~/tracks", 10)
        self._events = publisher(node, HAND_EVENT, "~/events", _EVENTS_DEPTH)
        self._markers = publisher(node, MARKERS, "~/markers", 1)
        self._overlay = publisher(node, COMPRESSED_IMAGE, "~/overlay/compressed", 1)
        self._tf = publisher(node, TF, "/tf", _TF_DEPTH)
        self._hypotheses = publisher(node, HAND_HYPOTHESES, "~/hypotheses", 10) if params.hypotheses else None
        self._timing = publisher(node, HAND_TIMING, "~/timing", 10)
        self._model_info = publisher(node, MODEL_INFO, "~/model_info", LATCHED)
        self._extra = ExtraOutputs(node, params.chosen_outputs(), facts.objects)
        self._model_info.publish(encode(model_info(facts)))

    @property
    def hypotheses_wanted(self) -> bool:
        """Whether somebody subscribes to hypotheses, which are told nowhere else."""
        return self._hypotheses is not None and self._hypotheses.get_subscription_count() > 0

    def publish(self, header: Any, image: Image, result: FrameResult) -> None:
        """Publish a result under the image's header; what nobody subscribes to is not drawn."""
        began = time.perf_counter()
        params, drawn = self.params, result
        if result.camera.estimated and not params.fov_deg:
            result = without_metres(result)
        if params.mirrored_input:
            result = mirror_pixels(result)
        if self.target is not None:
            header, result = self.target.moved(header, result)
        latency_ms, dropped = self._stamps.latency_ms(header.stamp), self._stats.dropped_total
        message = hand_array(header, result, mesh=params.publish_mesh, latency_ms=latency_ms, dropped=dropped)
        self._hands.publish(encode(message))
        self._tracks.publish(encode(track_array(header, result)))
        if self._hypotheses is not None and self.hypotheses_wanted:
            self._hypotheses.publish(encode(hypotheses_array(header, result)))
        for event in result.events:
            self._events.publish(encode(event_message(header, event)))
        if params.publish_tf and self._stamps.usable:
            tree = transforms(header, result, params.tf_prefix, params.publish_finger_frames)
            if tree.transforms:
                self._tf.publish(encode(tree))
        self._extra.publish(header, result)
        self._show(header, image, result, drawn)
        stages = {**with_hypotheses(result.timing_ms), "publish": 1e3 * (time.perf_counter() - began)}
        total_ms = stages.pop("total", 0.0)
        done_ms = self._stamps.latency_ms(header.stamp)
        self._timing.publish(encode(timing_message(header, stages, done_ms)))
        self._stats.processed(latency_ms, total_ms, len(result.hands), stages)

    def _show(self, header: Any, image: Image, result: FrameResult, drawn: FrameResult) -> None:
        """Markers and overlay, while somebody subscribes; `drawn` is the result in the pixels of `image`."""
        params = self.params
        if params.publish_markers != "off" and header.frame_id and self._markers.get_subscription_count():
            faces = self._facts.faces if params.publish_markers == "mesh" else None
            self._markers.publish(encode(marker_array(header, result, faces, self._facts.objects)))
        if params.publish_overlay and self._overlay.get_subscription_count():
            self._overlay.publish(encode(jpeg_message(header, draw(image, drawn, self._facts.faces))))
