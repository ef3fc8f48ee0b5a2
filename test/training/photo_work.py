"""Photographs of rendered hands, and a teacher that knows where they are; for `test_photos*`."""

import json

import cv2
import numpy as np
from fake import fake_sample

from prehend.types import Box
from prehend_training.photos.agreement import Answer
from prehend_training.photos.labelling import Labelling, label_photos

LICENCE = "schema: prehend.photo_sources/1\nsources:\n"
FACTS = f"""{LICENCE}  hands: {{title: hands, licence: MIT, every_box: true, session: '^(\\d)', validation: ['9']}}
  empty: {{title: rooms, licence: CC0-1.0, hands: 0}}
  held: {{title: packages, licence: MIT, held: true, side: left, hands: 1}}
"""


class Knows:
    """A teacher that knows the joints of each image by name, and errs by `noise` of the hand's size, by look."""

    name = "teacher that knows"

    def __init__(self, truth, noise=0.005, score=0.99):
        self.truth, self.noise, self.score, self.asked = truth, noise, score, []

    def answers(self, path, looks, place):
        self.asked.append(path.name)
        rng = np.random.default_rng(len(self.asked))
        return [[self._seen(*hand, look, rng) for hand in self.truth.get(path.name, ())] for look in looks]

    def _seen(self, keypoints, side, look, rng):
        size = np.ptp(keypoints, axis=0).max()
        return Answer(keypoints + rng.normal(0, self.noise * size, (21, 2)), side, self.score)

    def close(self):
        pass


def write_photos(folder, count=6):
    """Images of `hands`, `empty` and `held` with boxes of two of the hands; returns the truth by name."""
    truth, boxes = {}, {}
    for part in ("hands", "empty", "held"):
        (folder / part).mkdir(parents=True)
    samples = [s for s in (fake_sample(5, k, "frames", 200) for k in range(60)) if len(s.hands) == 1 and inside(s)]
    for k, sample in enumerate(samples[:count]):
        name = f"{9 if k == count - 1 else k}_pic.png"
        write(folder / "hands" / name, sample.image)
        truth[name] = [(sample.hands[0].keypoints_px, sample.hands[0].side)]
    first = f"hands/{0}_pic.png"
    boxes[first] = [Box.around(truth["0_pic.png"][0][0]).as_array().tolist()]
    boxes["hands/1_pic.png"] = [[20.0, 30.0, 60.0, 80.0]]  # beside the hand: the teacher sees nothing there
    for k in range(2):
        write(folder / "empty" / f"{k}.png", np.full((120, 160, 3), 60 + 100 * k, np.uint8))
        write(folder / "held" / f"{k}.png", np.full((120, 160, 3), 40 + 100 * k, np.uint8))
    (folder / "boxes.json").write_text(json.dumps(boxes))
    (folder / "sources.yaml").write_text(FACTS)
    return truth


def inside(sample):
    """Whether a rendered hand lies well inside its image."""
    points, (height, width) = sample.hands[0].keypoints_px, sample.image.shape[:2]
    large = np.ptp(points, axis=0).max() > 30
    return large and (points > 10).all() and (points < np.array([width, height]) - 10).all()


def write(path, image):
    assert cv2.imwrite(str(path), image[..., ::-1])


def labelled(folder, teacher, **more):
    """The labels of a folder of `write_photos`."""
    from prehend_training.photos.facts import read_facts
    from prehend_training.photos.labelling import read_boxes

    facts, boxes = read_facts(folder / "sources.yaml"), read_boxes(folder / "boxes.json")
    return label_photos(Labelling(folder, folder / "labels.json", facts, boxes, **more), teacher)
