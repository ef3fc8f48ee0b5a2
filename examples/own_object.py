"""Something of yours in a hand: `python examples/own_object.py photo.jpg --size 0.06 0.06 0.19`.

Describes an object by its box, puts it beside the shipped catalogue and asks for its pose in the hand that holds it.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from prehend.pipeline.estimator import Estimator

DESCRIPTION = """id: {name}
name: {name}
extents_m: [{size}]            # sides of its box along its own axes
center_m: [0.0, 0.0, 0.0]      # middle of the box in the object's frame
symmetry: {{half_turns: [x, y], continuous: z}}   # turns that cannot be told apart: here it is round about z
"""


def main() -> int:
    """Exit code 1 when no hand holds anything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--name", default="my_bottle")
    parser.add_argument("--size", type=float, nargs=3, default=(0.06, 0.06, 0.19), help="sides of its box [m]")
    options = parser.parse_args()

    bgr = cv2.imread(str(options.photo))
    if bgr is None:
        raise SystemExit(f"{options.photo}: no photograph")
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        # kept for good, the folder goes into the environment variable PREHEND_OBJECTS, for commands and node too
        text = DESCRIPTION.format(name=options.name, size=", ".join(map(str, options.size)))
        (Path(folder) / f"{options.name}.yaml").write_text(text)
        with Estimator.from_pretrained(object_id=options.name, objects=Path(folder)) as estimator:
            hands = estimator.estimate(rgb).hands

    held = [(hand.side, hand.held_object) for hand in hands if hand.held_object is not None]
    for side, thing in held:
        assert thing is not None
        if thing.T_camera_object is None:
            print(f"the {side} hand holds {thing.object_id}, without a pose: {thing.no_pose}")
        else:
            print(f"the {side} hand holds {thing.object_id} at {thing.T_camera_object[:3, 3].round(3).tolist()} m")
    if not held:
        print(f"{len(hands)} hands, none holds anything")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
