"""How long each part of making a sample takes."""

import time

from prehend_training.scenes.render.render import SceneRenderer, crop_sample

PARTS = (
    "sampling",
    "geometry",
    "background",
    "shadows",
    "draw",
    "outlines",
    "develop",
    "twin",
    "depth sensor",
    "labels",
)
"""`draw` holds the twin's light and all that is read back but outlines; `twin` is its development."""


def time_parts(renderer: SceneRenderer, count: int = 100, size_px: int = 128, seed: int = 1) -> dict[str, float]:
    """Mean processor time [ms] a crop with every map, part by part, and "whole"; textures are painted before.

    Args:
        renderer: what to time.
        count: samples.
        size_px: side of the images.
        seed: of the samples.
    """

    def make() -> float:
        before = time.process_time()
        for index in range(count):
            crop_sample(renderer, seed, index, size_px, maps=True)
        return 1000 * (time.process_time() - before) / count

    make()
    whole = make()
    clock = renderer.clock
    clock.spent_s.clear()
    clock.running = True
    make()
    clock.running = False
    return {**{name: 1000 * clock.spent_s[name] / count for name in PARTS}, "whole": whole}
