"""Hands of an image or a video in the format of another program: `python examples/adapters.py --help`.

One line of adapter code per format, on the demo clip or on what you give it. docs/ADAPTERS.md says which frame, order
and unit each format has.
"""

import argparse
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from prehend.adapters import (
    dex_retargeting,
    hand_tracking_sdk,
    joint_state,
    lerobot,
    mano,
    mediapipe,
    openxr,
    unitree,
    vision_msgs,
    visionos,
)
from prehend.errors import PrehendError
from prehend.io.sources import open_source
from prehend.pipeline.load import load_estimator
from prehend.types import FrameResult, HandEstimate

CLIP = Path(__file__).parent / "hands.mp4"


def show_mediapipe(hand: HandEstimate, result: FrameResult) -> None:
    """Normalised image landmarks and world landmarks."""
    camera = result.camera
    image = mediapipe.image_landmarks(
        hand.keypoints_px, hand.joints_m, camera.width, camera.height, float(camera.K[0, 0])
    )
    world = mediapipe.world_landmarks(hand.joints_m)
    print(f"  {mediapipe.handedness(hand.side)}: landmarks {image.shape}, world landmarks {world.shape} m")
    print(f"  {mediapipe.LANDMARK_NAMES[8]} {image[8].round(3)}  {world[8].round(3)} m")


def show_dex_retargeting(hand: HandEstimate, result: FrameResult) -> None:
    """What `retargeting.retarget` takes for an Allegro hand, and the wrist for the arm."""
    joints = dex_retargeting.operator_joints(hand.joints_m, hand.side)
    vectors = dex_retargeting.reference(joints, np.array([[0, 0, 0, 0], [4, 8, 12, 16]]))
    print(f"  vectors from the wrist to four fingertips [m]\n{vectors.round(3)}")
    print(f"  wrist in the camera frame\n{dex_retargeting.T_camera_operator(hand.joints_m, hand.side).round(3)}")


def show_openxr(hand: HandEstimate, result: FrameResult) -> None:
    """26 joints with orientations and radii, in the view space of the camera."""
    xr = openxr.openxr_hand(hand.joints_m, hand.rotations, hand.side, hand.vertices_m)
    assert xr.radii_m is not None
    for row in (0, 1, 10):
        name, place, turn = openxr.JOINT_NAMES[row], xr.positions_m[row].round(3), xr.quaternions_xyzw[row].round(3)
        print(f"  {name:10s} {place} m, quaternion {turn}, radius {1000 * xr.radii_m[row]:.1f} mm")


def show_unitree(hand: HandEstimate, result: FrameResult) -> None:
    """25 points for xr_teleoperate and the 75 numbers of its shared memory."""
    points = unitree.hand_points(hand.joints_m, hand.rotations, hand.side)
    print(f"  fingertips [m]\n{points[[4, 9, 14, 19, 24]].round(3)}\n  shared: {unitree.shared_array(points).shape}")


def show_visionos(hand: HandEstimate, result: FrameResult) -> None:
    """What `avp_stream` would say."""
    fingers = visionos.finger_matrices(hand.joints_m, hand.rotations, hand.side)
    wrist = visionos.T_world_wrist(hand.joints_m, hand.rotations, hand.side)
    print(f"  {hand.side}_fingers {fingers.shape}, {hand.side}_wrist\n{wrist.round(3)}")
    print(f"  {hand.side}_pinch_distance {visionos.pinch_distance(hand.joints_m):.3f} m")


def show_lerobot(hand: HandEstimate, result: FrameResult) -> None:
    """An action of a teleoperator whose source of frames is this one."""
    teleoperator = lerobot.HandTeleoperator(lambda: result, hand.side)
    teleoperator.connect()
    action = teleoperator.get_action()
    for name in itertools.islice(action, 9):
        print(f"  {name:28s} {action[name]:+.3f}")
    print(f"  ... {len(action)} values")
    teleoperator.disconnect()


def show_hand_tracking_sdk(hand: HandEstimate, result: FrameResult) -> None:
    """The topics that its ROS 2 bridge would fill."""
    topics = hand_tracking_sdk.hand_topics(hand.joints_m, hand.rotations, hand.side)
    place, turn = topics.wrist_position_m.round(3), topics.wrist_quaternion_xyzw.round(3)
    print(f"  {topics.wrist_topic}: {place} m, quaternion {turn}")
    print(f"  {topics.landmarks_topic}: {topics.landmarks_m.shape} m in {hand_tracking_sdk.WORLD_FRAME}")


def show_joint_state(hand: HandEstimate, result: FrameResult) -> None:
    """Angles by name, with the limits of a human hand."""
    angles = joint_state.joint_angles(hand.rotations, hand.side)
    rows = zip(angles.names, np.degrees(angles.positions_rad), np.degrees(angles.limits_rad), strict=True)
    for name, angle, (low, high) in rows:
        print(f"  {name:28s} {angle:+6.1f} deg  ({low:+.0f} to {high:+.0f})")


def show_mano(hand: HandEstimate, result: FrameResult) -> None:
    """Pose and betas; the file is written at the end."""
    print(f"  betas {hand.betas.round(2)}")


def show_vision_msgs(hand: HandEstimate, result: FrameResult) -> None:
    """What this hand holds as a Detection3DArray."""
    array = vision_msgs.detection_array(vision_msgs.detections([hand]), "camera_optical_frame", result.stamp)
    for detection in array["detections"]:
        hypothesis = detection["results"][0]["hypothesis"]
        print(f"  {hypothesis['class_id']} ({hypothesis['score']:.2f}), bbox {detection['bbox']}")
    if not array["detections"]:
        print("  holds nothing whose pose is known")


FORMATS: dict[str, Callable[[HandEstimate, FrameResult], None]] = {
    name.removeprefix("show_").replace("_", "-"): show
    for name, show in list(globals().items())
    if name.startswith("show_")
}


def main() -> int:
    """Estimate, convert, print; exit code 1 when there was no hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=[*FORMATS, "all"], help="the consumer")
    parser.add_argument("source", nargs="?", default=str(CLIP), help="image, folder or video (default: the demo clip)")
    parser.add_argument("--frames", type=int, default=3, help="how many frames (default: %(default)s)")
    parser.add_argument("--object", metavar="ID", default="", help="what is held, from the catalogue (for vision-msgs)")
    parser.add_argument("--out", type=Path, default=Path("out/hands.npz"), help="file of the format mano")
    options = parser.parse_args()
    wanted = list(FORMATS) if options.format == "all" else [options.format]
    seen: list[tuple[float | None, HandEstimate]] = []
    try:
        with load_estimator(object_id=options.object) as estimator, open_source(options.source) as source:
            for frame in itertools.islice(source, options.frames):
                result = estimator.estimate(frame.image_rgb, stamp=frame.stamp)
                for hand in result.hands:
                    seen.append((result.stamp, hand))
                    for name in wanted:
                        print(f"frame {frame.index}, {hand.side} hand #{hand.track_id}: {name}")
                        FORMATS[name](hand, result)
            if "mano" in wanted and seen:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                mano.write_mano(options.out, seen, dict(estimator.hand_models))
                print(f"{options.out}: {len(seen)} hands, is_mano {mano.read_mano_parameters(options.out).is_mano}")
    except PrehendError as error:
        print(f"adapters: {error}", file=sys.stderr)
        return 1
    if not seen:
        print("adapters: no hand was found", file=sys.stderr)
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
