"""Orders of 21 keypoints in label files: by the names that a file gives them."""

import re
from typing import Any

from prehend.conventions import NUM_JOINTS

_FINGERS = (("thumb",), ("index", "fore", "pointer"), ("middle",), ("ring",), ("pinky", "pinkie", "little", "small"))
_WRIST = ("wrist", "root", "palm", "carpus")


def order_of_names(names: Any) -> tuple[int, ...] | None:
    """The row of each of our joints among named keypoints; None for our own order, and for names that do not tell.

    Known are names of anatomy (`index_finger_mcp`, `thumb_tip`) and those with a number a finger, which counts from the
    wrist: `forefinger1`, `thumb4` (as the COCO files of RHD, OneHand10K and InterHand2.6M have them, fingers there
    partly from the tip to the wrist).
    """
    if not isinstance(names, list | tuple) or len(names) != NUM_JOINTS:
        return None
    joints = [_joint(str(name)) for name in names]
    if set(joints) != set(range(NUM_JOINTS)) or joints == list(range(NUM_JOINTS)):
        return None
    return tuple(joints.index(joint) for joint in range(NUM_JOINTS))


def _joint(name: str) -> int | None:
    """Our joint of a name, None where it does not tell."""
    text = name.lower()
    finger = next((number for number, words in enumerate(_FINGERS) if any(word in text for word in words)), None)
    if finger is None:
        return 0 if any(word in text for word in _WRIST) else None
    step = _step(text, finger)
    return None if step is None else 1 + 4 * finger + step


def _step(text: str, finger: int) -> int | None:
    numbered = re.search(r"([1-4])$", text)
    if numbered:
        return int(numbered[1]) - 1
    part = next((part for part in ("cmc", "mcp", "pip", "dip", "tip", "ip") if text.endswith(part)), None)
    if part is None:
        return None
    if finger == 0:
        return {"cmc": 0, "mcp": 1, "ip": 2, "pip": 2, "tip": 3}.get(part)
    return {"mcp": 0, "pip": 1, "dip": 2, "tip": 3}.get(part)
