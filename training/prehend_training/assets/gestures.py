"""Named hand shapes: gestures that bare hands make, counts, letters of American Sign Language, shapes around
objects."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bend = tuple[float, float, float]

FINGER_ROWS = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}
"""First of each digit's three rows among the 15 finger joints (MANO's order)."""


@dataclass(frozen=True)
class Gesture:
    """Angles [degrees] of the mean pose: flexion of each digit's joints from the palm outwards, and what goes sideways.

    Attributes:
        description: what it is.
        index, middle, ring, little, thumb: flexion of three joints.
        spread: abduction of the knuckles of index, middle, ring, little (positive towards the thumb).
        thumb_out: abduction of the thumb's first joint, positive away from the palm.
        thumb_twist: about the thumb's first bone.
        weight: how often it is drawn, relative to the others.
        looseness: size of the variation relative to the usual (a few degrees a joint); small where digits must meet.
    """

    description: str
    index: Bend
    middle: Bend
    ring: Bend
    little: Bend
    thumb: Bend
    spread: tuple[float, float, float, float] = (0, 0, 0, 0)
    thumb_out: float = 0
    thumb_twist: float = 0
    weight: float = 1
    looseness: float = 1

    @cached_property
    def angles_rad(self) -> NDArray[np.float64]:
        """(15, 3) flexion, abduction, twist [rad] of the joints in MANO's order; not writable."""
        angles = np.zeros((15, 3))
        for finger, row in FINGER_ROWS.items():
            angles[row : row + 3, 0] = getattr(self, finger)
        for row, spread in zip((0, 3, 9, 6), self.spread, strict=True):
            angles[row, 1] = spread
        angles[12, 1:] = self.thumb_out, self.thumb_twist
        angles = np.deg2rad(angles)
        angles.setflags(write=False)
        return angles


# fmt: off
GESTURES: dict[str, Gesture] = {
    "flat": Gesture("Flat hand, fingers nearly together, thumb beside them",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (0, 3, 2), (-6, 0, -3),
        spread=(-5, 0, 4, 8), thumb_out=-10, weight=4),
    "stop": Gesture("Halt: fingers and thumb together, stretched",
        (-4, 2, 0), (-4, 2, 0), (-4, 2, 0), (-4, 2, 0), (24, 8, 0),
        spread=(-9, -1, 7, 14), thumb_out=-18, weight=2, looseness=0.8),
    "relaxed": Gesture("Hanging loosely, fingers curled by their own tendons",
        (18, 26, 14), (25, 32, 18), (29, 34, 20), (31, 33, 20), (6, 10, 12),
        spread=(2, 0, -1, -2), thumb_out=6, weight=8, looseness=1.6),
    "open": Gesture("Lightly open, as if to receive or to explain",
        (6, 10, 6), (8, 12, 7), (10, 13, 8), (11, 13, 8), (-10, 0, 2),
        spread=(5, 1, -4, -9), thumb_out=8, weight=4, looseness=1.5),
    "spread": Gesture("Five: all fingers spread",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (0, 3, 2), (-24, -6, -8),
        spread=(16, 3, -9, -19), thumb_out=10, weight=4),
    "wave": Gesture("Waving: open and a little overstretched",
        (-6, 6, 4), (-8, 6, 4), (-6, 6, 4), (-5, 6, 4), (-16, -2, -4),
        spread=(9, 2, -5, -11), thumb_out=2, weight=3, looseness=1.2),
    "claw": Gesture("Claw: knuckles straight, other joints bent, spread",
        (2, 62, 40), (0, 65, 42), (2, 64, 42), (4, 60, 38), (-6, 22, 45),
        spread=(12, 3, -7, -14), thumb_out=18),
    "cup": Gesture("Cupped to scoop water, fingers together",
        (34, 26, 14), (38, 28, 15), (42, 30, 16), (44, 32, 16), (14, 8, 8),
        spread=(-4, 0, 3, 6), thumb_out=2, weight=1.5),
    "hook": Gesture("Hook: as one carries a bag",
        (8, 94, 58), (8, 96, 60), (8, 95, 58), (8, 90, 54), (8, 14, 16),
        thumb_out=-2, weight=1.5),
    "lumbrical": Gesture("Plate: only the knuckles bent, thumb opposed",
        (78, 8, 4), (80, 8, 4), (80, 8, 4), (78, 8, 4), (16, 14, 4),
        spread=(0, 0, 1, 2), thumb_out=18),
    "typing": Gesture("Over a keyboard",
        (26, 38, 20), (22, 42, 22), (24, 42, 22), (28, 36, 18), (6, 6, 14),
        spread=(4, 0, -4, -8), thumb_out=2, weight=2, looseness=1.3),
    "piano": Gesture("Over piano keys, fingers arched and apart",
        (30, 34, 20), (26, 36, 20), (28, 34, 20), (34, 26, 16), (-8, 2, 14),
        spread=(10, 2, -6, -14), thumb_out=6, looseness=1.3),
    "mug": Gesture("Around a thick handle",
        (44, 54, 32), (48, 54, 32), (50, 56, 34), (52, 56, 34), (12, 22, 25),
        spread=(2, 0, -1, -2), thumb_out=12, weight=1.5),
    "cylinder": Gesture("Around a can",
        (30, 42, 26), (32, 42, 26), (34, 44, 28), (36, 46, 28), (2, 15, 18),
        spread=(4, 0, -3, -6), thumb_out=20, weight=2, looseness=1.2),
    "ball": Gesture("Around a ball, fingers spread",
        (22, 38, 24), (20, 38, 24), (22, 38, 24), (26, 36, 24), (0, 12, 18),
        spread=(15, 3, -8, -16), thumb_out=24, weight=2, looseness=1.2),
    "tap": Gesture("Tapping with the index finger",
        (26, 16, 8), (26, 44, 26), (30, 48, 28), (32, 46, 26), (8, 14, 14),
        thumb_out=4, weight=2, looseness=1.2),
    "swear": Gesture("Middle finger alone",
        (58, 70, 36), (8, 10, 6), (60, 72, 38), (62, 70, 36), (26, 30, 30),
        thumb_out=10, weight=0.5, looseness=0.8),
    "quotes": Gesture("Index and middle finger hooked, as quotation marks or ASL 20",
        (6, 88, 50), (4, 90, 52), (80, 96, 58), (80, 96, 58), (35, 32, 21),
        spread=(12, -10, 0, 0), thumb_out=7, thumb_twist=-2, weight=0.5, looseness=0.9),
    "fist": Gesture("Fist, thumb across index and middle finger",
        (80, 96, 58), (80, 96, 58), (80, 96, 58), (80, 96, 58), (25, 21, 33),
        thumb_out=11, thumb_twist=-17, weight=4, looseness=0.7),
    "letter_s": Gesture("Fist, thumb in front of the fingers (ASL S)",
        (78, 97, 60), (78, 97, 60), (78, 97, 60), (78, 97, 60), (34, 20, 24),
        thumb_out=16, thumb_twist=-25, looseness=0.7),
    "letter_a": Gesture("Fist, thumb stretched along its side (ASL A)",
        (82, 98, 60), (82, 98, 60), (82, 98, 60), (82, 98, 60), (10, 12, 23),
        thumb_out=-12, thumb_twist=2, weight=1.5, looseness=0.8),
    "thumb_up": Gesture("Thumb up; upside down, thumb down (ASL 10)",
        (80, 96, 58), (80, 96, 58), (80, 96, 58), (80, 96, 58), (-22, -10, -18),
        thumb_out=-12, weight=4, looseness=0.9),
    "point": Gesture("Pointing with the index finger; one",
        (0, 3, 2), (80, 96, 58), (80, 96, 58), (80, 96, 58), (18, 32, 33),
        thumb_out=6, thumb_twist=-3, weight=5, looseness=0.9),
    "point_thumb": Gesture("Pointing with the thumb, as hitch-hikers do",
        (74, 92, 55), (74, 92, 55), (74, 92, 55), (74, 92, 55), (-24, -8, -20),
        thumb_out=8, weight=1.5),
    "two": Gesture("Index and middle finger together (ASL U)",
        (0, 3, 2), (0, 3, 2), (80, 96, 58), (80, 96, 58), (34, 34, 19),
        spread=(-10, 6, 0, 0), thumb_out=6, thumb_twist=-2, weight=2, looseness=0.8),
    "victory": Gesture("Victory; two (ASL V)",
        (0, 3, 2), (0, 3, 2), (80, 96, 58), (80, 96, 58), (36, 31, 22),
        spread=(15, -14, 0, 0), thumb_out=6, thumb_twist=-2, weight=4, looseness=0.9),
    "three": Gesture("Thumb, index and middle finger; three",
        (0, 3, 2), (0, 3, 2), (80, 96, 58), (80, 96, 58), (-22, -5, -10),
        spread=(10, -6, 0, 0), thumb_out=8, weight=2),
    "letter_w": Gesture("Index, middle and ring finger, thumb on the little one (ASL W)",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (90, 105, 52), (39, 42, 34),
        spread=(14, 0, -13, 7), thumb_out=14, thumb_twist=-1, weight=1.5, looseness=0.8),
    "four": Gesture("Four fingers, thumb in the palm",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (0, 3, 2), (38, 40, 40),
        spread=(12, 3, -6, -16), thumb_out=5, thumb_twist=5, weight=2, looseness=0.9),
    "six": Gesture("Thumb meets the stretched little finger (ASL 6)",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (75, 58, 23), (38, 34, 14),
        spread=(10, 0, -8, 6), thumb_out=16, thumb_twist=1, looseness=0.45),
    "seven": Gesture("Thumb meets the stretched ring finger (ASL 7)",
        (0, 3, 2), (0, 3, 2), (69, 52, 11), (0, 3, 2), (35, 22, -24),
        spread=(10, 0, 7, -14), thumb_out=21, thumb_twist=4, looseness=0.45),
    "eight": Gesture("Thumb meets the stretched middle finger (ASL 8)",
        (0, 3, 2), (64, 61, 31), (0, 3, 2), (0, 3, 2), (25, 18, 2),
        spread=(10, 3, -4, -14), thumb_out=16, thumb_twist=1, looseness=0.45),
    "ok": Gesture("OK: ring of thumb and index finger (ASL F and 9)",
        (77, 40, -3), (10, 10, 6), (4, 8, 5), (0, 6, 4), (26, 13, -6),
        spread=(3, 0, -5, -12), thumb_out=24, thumb_twist=-12, weight=4, looseness=0.4),
    "pinch": Gesture("Thumb and index finger pinch, others loose",
        (77, 40, -4), (40, 40, 22), (38, 40, 24), (36, 38, 22), (26, 12, -8),
        spread=(4, 0, 0, 0), thumb_out=22, thumb_twist=-10, weight=4, looseness=0.45),
    "pinch_middle": Gesture("Thumb and middle finger pinch",
        (20, 24, 14), (63, 65, 31), (35, 38, 22), (30, 34, 20), (26, 16, 7),
        spread=(0, 1, 0, 0), thumb_out=16, thumb_twist=2, weight=1.5, looseness=0.45),
    "pinch_ring": Gesture("Thumb and ring finger pinch",
        (14, 20, 12), (25, 28, 16), (90, 36, -10), (40, 42, 24), (26, 20, -2),
        spread=(0, 0, 14, 0), thumb_out=35, thumb_twist=-10, looseness=0.45),
    "pinch_little": Gesture("Thumb and little finger pinch",
        (8, 14, 8), (14, 18, 10), (35, 36, 20), (77, 56, 22), (39, 34, 13),
        spread=(0, 0, 0, 4), thumb_out=18, thumb_twist=1, looseness=0.45),
    "tripod": Gesture("Thumb, index and middle finger around a small object",
        (59, 60, 20), (60, 60, 35), (58, 64, 36), (56, 62, 34), (21, 16, 5),
        spread=(-2, 2, 0, 0), thumb_out=14, weight=2, looseness=0.6),
    "writing": Gesture("Holding a pen",
        (61, 49, 22), (64, 62, 32), (60, 68, 40), (58, 66, 38), (16, 20, 15),
        spread=(-2, 3, 0, 0), thumb_out=13, thumb_twist=-2, weight=2, looseness=0.6),
    "flat_o": Gesture("Flat O: fingertips on the thumb, as for feeding",
        (66, 40, 25), (66, 48, 34), (65, 48, 31), (60, 36, 12), (31, 14, 6),
        spread=(-4, -1, 6, 2), thumb_out=21, thumb_twist=-1, looseness=0.5),
    "letter_o": Gesture("Round O of all fingers and the thumb (ASL O)",
        (55, 59, 35), (53, 58, 42), (53, 54, 33), (56, 52, 32), (24, 16, 15),
        spread=(-8, 0, 2, 4), thumb_out=14, thumb_twist=-1, looseness=0.5),
    "beak": Gesture("Beak: straight fingers on the thumb",
        (75, 29, 10), (65, 37, 25), (72, 30, 14), (68, 28, 10), (30, 15, 1),
        spread=(-3, 0, 7, 5), thumb_out=20, thumb_twist=-3, looseness=0.5),
    "letter_c": Gesture("Open C (ASL C)",
        (28, 40, 26), (28, 42, 26), (28, 42, 26), (30, 40, 26), (26, 12, 22),
        thumb_out=9, weight=1.5),
    "letter_d": Gesture("Index finger up, others on the thumb (ASL D)",
        (0, 3, 2), (60, 67, 31), (56, 60, 28), (56, 58, 26), (26, 19, 5),
        thumb_out=15, looseness=0.5),
    "letter_b": Gesture("Fingers up together, thumb across the palm (ASL B)",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (0, 3, 2), (38, 24, 17),
        spread=(-9, -1, 8, 16), thumb_out=-18, thumb_twist=-18, weight=1.5, looseness=0.8),
    "letter_e": Gesture("Fingertips on the thumb across the palm (ASL E)",
        (45, 100, 60), (45, 100, 60), (45, 100, 60), (45, 100, 60), (22, 41, 70),
        thumb_out=3, thumb_twist=-5, weight=0.7, looseness=0.5),
    "letter_i": Gesture("Little finger up (ASL I)",
        (80, 96, 58), (80, 96, 58), (80, 96, 58), (0, 3, 2), (32, 24, 23),
        spread=(0, 0, 0, -6), thumb_out=17, thumb_twist=-25, looseness=0.8),
    "letter_l": Gesture("Thumb and index finger square to each other (ASL L)",
        (0, 3, 2), (80, 96, 58), (80, 96, 58), (80, 96, 58), (-24, -6, -10),
        thumb_out=-8, weight=2, looseness=0.9),
    "letter_k": Gesture("Index up, middle finger forward, thumb between (ASL K)",
        (0, 3, 2), (42, 6, 4), (80, 96, 58), (80, 96, 58), (22, 20, 18),
        spread=(8, -6, 0, 0), thumb_out=-26, thumb_twist=-8, weight=0.7, looseness=0.7),
    "letter_m": Gesture("Three fingers over the thumb (ASL M)",
        (76, 88, 40), (76, 88, 40), (78, 88, 40), (82, 98, 58), (15, 64, 38),
        thumb_out=-16, thumb_twist=-2, weight=0.6, looseness=0.5),
    "letter_n": Gesture("Two fingers over the thumb (ASL N)",
        (74, 84, 40), (74, 84, 40), (80, 96, 58), (80, 96, 58), (0, 62, 45),
        thumb_out=-15, thumb_twist=-8, weight=0.6, looseness=0.5),
    "letter_t": Gesture("Thumb between index and middle finger (ASL T)",
        (52, 76, 43), (80, 99, 56), (78, 94, 57), (81, 98, 58), (10, 37, 24),
        spread=(6, 0, 0, 0), thumb_out=-15, thumb_twist=-8, weight=0.6, looseness=0.5),
    "letter_x": Gesture("Index finger hooked (ASL X)",
        (22, 92, 56), (80, 96, 58), (80, 96, 58), (80, 96, 58), (18, 32, 33),
        thumb_out=6, thumb_twist=-3, weight=0.8, looseness=0.8),
    "crossed": Gesture("Middle finger crossed over the index finger (ASL R)",
        (18, 6, 4), (-4, 4, 2), (80, 96, 58), (80, 96, 58), (36, 31, 22),
        spread=(-16, 16, 0, 0), thumb_out=6, thumb_twist=-2, looseness=0.5),
    "call": Gesture("Call me: thumb and little finger out (ASL Y)",
        (80, 96, 58), (80, 96, 58), (80, 96, 58), (0, 3, 2), (-22, -8, -14),
        spread=(0, 0, 0, -16), thumb_out=12, weight=2, looseness=0.9),
    "horns": Gesture("Index and little finger up, thumb on the others",
        (0, 3, 2), (80, 96, 58), (80, 96, 58), (0, 3, 2), (19, 32, 33),
        spread=(6, 0, 0, -10), thumb_out=8, thumb_twist=-4, weight=1.5, looseness=0.8),
    "i_love_you": Gesture("Thumb, index and little finger out (ASL ILY)",
        (0, 3, 2), (80, 96, 58), (80, 96, 58), (0, 3, 2), (-22, -6, -10),
        spread=(8, 0, 0, -12), thumb_out=5, weight=1.5, looseness=0.9),
    "vulcan": Gesture("V between middle and ring finger",
        (0, 3, 2), (0, 3, 2), (0, 3, 2), (0, 3, 2), (-22, -6, -6),
        spread=(4, 14, -15, 0), thumb_out=8, looseness=0.8),
    "finger_gun": Gesture("Finger gun: two fingers forward, thumb up",
        (0, 3, 2), (0, 3, 2), (80, 96, 58), (80, 96, 58), (-20, -8, -14),
        spread=(-10, 6, 0, 0), thumb_out=-14, weight=1.5, looseness=0.9),
    "snap": Gesture("About to snap thumb and middle finger",
        (30, 40, 22), (77, 53, 8), (76, 84, 44), (76, 84, 44), (25, 18, -7),
        spread=(0, 5, 0, 0), thumb_out=30, looseness=0.5),
    "key": Gesture("Key pinch: thumb on the side of the index finger",
        (52, 76, 40), (58, 80, 44), (62, 80, 46), (64, 78, 44), (7, 16, 9),
        thumb_out=-14, thumb_twist=1, weight=2, looseness=0.6),
    "trigger": Gesture("On a trigger: index finger apart, others closed",
        (30, 64, 30), (68, 76, 44), (70, 78, 46), (72, 76, 46), (22, 16, 14),
        thumb_out=-8, thumb_twist=-2, weight=1.5, looseness=0.8),
    "phone": Gesture("Holding a phone",
        (28, 44, 22), (30, 46, 24), (34, 46, 26), (38, 44, 26), (-4, 6, 8),
        spread=(4, 0, -3, -6), thumb_out=8, weight=2),
    "thumb_in": Gesture("Thumb inside the fist",
        (74, 82, 46), (74, 82, 46), (74, 82, 46), (74, 82, 46), (2, 62, 33),
        thumb_out=-28, thumb_twist=8, weight=0.6, looseness=0.5),
}
# fmt: on
"""By name."""
