"""One frame: paint the candidates and choose one (adaptive control strength adjustment, UniHOPE section 3.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.types import FloatArray
from prehend_training.deocclude.judge import Judge
from prehend_training.deocclude.region import Image, RepaintedSquare
from prehend_training.deocclude.repaint import Repainter
from prehend_training.sample import Sample


@dataclass(frozen=True)
class MadeTwin:
    """A twin with everything it was chosen from.

    Attributes:
        sample: the frame.
        region: what was repainted of it.
        painted: (N, S, S, 3) the candidates, one for each control strength.
        pictures: the candidates pasted into the frame.
        j_pe_m: (N,) of each candidate [m].
        best: number of the chosen one.
    """

    sample: Sample
    region: RepaintedSquare
    painted: NDArray[np.uint8]
    pictures: list[Image]
    j_pe_m: FloatArray
    best: int


def deocclude(sample: Sample, region: RepaintedSquare, repainter: Repainter, judge: Judge) -> MadeTwin:
    """Paint a region with every candidate strength and choose the one whose image has the lowest J-PE.

    Args:
        sample: the frame.
        region: of it, from `find_region`.
        repainter, judge: paint and choose.

    Raises:
        AssetError: the networks give numbers that are not finite.
    """
    painted = repainter.paint(region, repr(sample.frame_id))
    pictures = [region.paste(one) for one in painted]
    errors = judge.errors_m(pictures, sample.camera, sample.hands[0])
    return MadeTwin(sample, region, painted, pictures, errors, int(np.argmin(errors)))
