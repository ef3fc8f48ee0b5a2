"""Plots of what a folder of samples holds (matplotlib, the extra `plots`)."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import FINGERS
from prehend.eval.figures import figure_class, save_figure
from prehend.files import replace_text
from prehend_training.inspect.stats import JOINTS, RULES, SampleStats, collect, share, summary
from prehend_training.sample import HAND_PARTS
from prehend_training.storage.shards import ShardFolder

_BLUE, _ORANGE, _GREEN, _RED = "#3b6fb6", "#e0802f", "#4d9d5b", "#b8434e"
_SHARE_BINS = np.linspace(0, 1, 26)


def write_stats(data: Path, out: Path, limit: int | None = None) -> list[Path]:
    """Write plots and stats.json of a folder of shards.

    Args:
        data: the folder.
        out: folder for the plots.
        limit: largest number of images, evenly spread.

    Returns:
        The paths of what was written.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    table = collect(ShardFolder.open(data), limit)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "stats.json"
    replace_text(path, json.dumps(summary(table), indent=1) + "\n")
    return [path, *draw_plots(table, out)]


def draw_plots(table: SampleStats, out: Path) -> list[Path]:
    """One image a topic, in `out`; of a folder without hands only those of images.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    figure_of = figure_class("prehend-train stats")
    paths = []
    topics = {**_OF_PICTURES, **(_OF_HANDS if table.hands else {})}
    for name, (draw, size) in topics.items():
        figure = figure_of(figsize=size, layout="constrained")
        draw(figure, table)
        paths.append(save_figure(figure, out / f"{name}.png", 110))
    return paths


def _pose(figure: Any, table: SampleStats) -> None:
    """A row a finger, a column a joint from the knuckle out: flexion, abduction, twist."""
    figure.suptitle(f"joint angles of {len(table.hands['right'])} hands (degrees; share of hands a bin)")
    axes = figure.subplots(5, 3, sharex=True)
    bins = np.arange(-60, 121, 5)
    for row, finger in enumerate(FINGERS):
        joints = [k for k, name in enumerate(JOINTS) if name.startswith(finger)]
        for column, joint in enumerate(joints):
            panel = axes[row, column]
            for name, colour in (("twist", _GREEN), ("abduction", _ORANGE), ("flexion", _BLUE)):
                _histogram(panel, table.hands[f"{name}_deg"][:, joint], bins, colour, name, alpha=0.6)
            panel.set_title(JOINTS[joint], fontsize=9)
            panel.set_yticks([])
    axes[0, 0].legend(fontsize=8)


def _shape(figure: Any, table: SampleStats) -> None:
    left, right = figure.subplots(1, 2)
    betas = table.hands["betas"]
    left.boxplot(betas[np.isfinite(betas).all(1)], whis=(1, 99), showfliers=False)
    left.set(title="shape coefficients (whiskers: 1 and 99 %)", xlabel="coefficient", ylabel="standard deviations")
    left.axhline(0, color="grey", linewidth=0.5)
    _histogram(right, table.hands["length_mm"], 30, _BLUE)
    right.set(title="length of the hand", xlabel="wrist to middle fingertip along the bones (mm)")


def _viewpoint(figure: Any, table: SampleStats) -> None:
    """Where the palm points, as the camera sees it: the middle of the left disc is a palm that faces the camera."""
    figure.suptitle("direction of the palm (equal areas; up is up in the image)")
    palms = table.hands["palm"][np.isfinite(table.hands["palm"][:, 2])]
    towards = palms[:, 2] < 0
    for panel, seen, title in zip(
        figure.subplots(1, 2), (towards, ~towards), ("palm towards the camera", "back towards the camera"), strict=True
    ):
        x, y = _equal_area(palms[seen])
        panel.hexbin(x, y, gridsize=18, extent=(-1.42, 1.42, -1.42, 1.42), cmap="viridis", mincnt=1)
        ring = np.linspace(0, 2 * np.pi, 200)
        for radius_deg in (30, 60, 90):
            radius = 2 * np.sin(np.deg2rad(radius_deg) / 2)
            panel.plot(radius * np.cos(ring), radius * np.sin(ring), color="grey", linewidth=0.6)
        panel.set(title=f"{title}: {share(seen.astype(float)) or 0.0:.0%}", aspect="equal", xticks=[], yticks=[])


def _equal_area(directions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lambert's azimuthal projection about the optical axis, one hemisphere; image x to the right, up is up."""
    x, y, z = directions.T
    scale = np.sqrt(2 / (1 + np.abs(z)))
    return scale * x, -scale * y


def _visibility(figure: Any, table: SampleStats) -> None:
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
    _histogram(left, table.hands["visible_ratio"], _SHARE_BINS, _BLUE)
    for rule, limit, colour in (("paper", 0.5, _RED), ("script", 0.4, _ORANGE)):
        occluded = share(table.hands[f"occluded_{rule}"]) or 0.0
        left.axvline(limit, color=colour, label=f"occluded ({rule}): {occluded:.0%}")
    left.legend(fontsize=8, loc="upper left")
    left.set(title="visible share of the hand", xlabel="seen over alone")
    parts = table.hands["part_visible"]
    middle.boxplot(parts[np.isfinite(parts).all(1)], tick_labels=HAND_PARTS, whis=(5, 95), showfliers=False)
    middle.set(title="visible share of each part's vertices (5 to 95 %)", ylim=(0, 1))
    places = np.arange(len(HAND_PARTS))
    for k, (rule, colour) in enumerate(zip(RULES, (_RED, _ORANGE), strict=True)):
        shares = _shares(table.hands[f"parts_{rule}"])
        right.bar(places + 0.4 * k - 0.2, list(shares.values()), 0.38, color=colour, label=rule)
    right.set(title="share of parts that count as occluded", xticks=places, xticklabels=HAND_PARTS, ylim=(0, 1))
    right.legend(title="rule", fontsize=8)
    for panel in (middle, right):
        panel.tick_params(axis="x", rotation=45)


def _grasp(figure: Any, table: SampleStats) -> None:
    left, right = figure.subplots(1, 2)
    hands = table.hands
    shares = {
        "grasp": share(hands["grasp"]),
        "displaced\n(papers' rule)": share(hands["displaced"]),
        "touches": share(hands["touching"]),
        "touches,\nno grasp": share(hands["touching"] * (1 - hands["grasp"])),
        "right hand": share(hands["right"]),
    }
    _bars(left, {name: value or 0.0 for name, value in shares.items()}, _BLUE)
    left.set(title="share of hands", ylim=(0, 1.08))
    _bars(right, _shares(hands["contact"][hands["touching"] == 1]), _GREEN)
    right.set(title="parts in contact, of the hands that touch", ylim=(0, 1.08))


def _objects(figure: Any, table: SampleStats) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    ids = [name for name, _ in table.object_ids.most_common()]
    for names, colour, label in ((table.object_ids, _BLUE, "in the image"), (table.held_ids, _ORANGE, "held")):
        left.bar(range(len(ids)), [names[name] for name in ids], color=colour, label=label)
    left.set(title="objects", ylabel="pictures", xticks=range(len(ids)), xticklabels=ids)
    left.tick_params(axis="x", rotation=90, labelsize=8)
    if ids:
        left.legend(fontsize=8)
    pictures = table.pictures
    most = int(max(pictures["hands"].max(), pictures["objects"].max(), 1))
    for name, colour, shift in (("hands", _GREEN, -0.2), ("objects", _BLUE, 0.2)):
        counts = Counter(pictures[name].tolist())
        heights = [counts[k] / len(pictures[name]) for k in range(most + 1)]
        right.bar(np.arange(most + 1) + shift, heights, 0.38, color=colour, label=name)
    right.set(title="in one image", xlabel="how many", ylabel="share of images", xticks=range(most + 1))
    right.legend(fontsize=8)


def _light(figure: Any, table: SampleStats) -> None:
    axes = figure.subplots(1, 3 if table.hands else 2)
    _histogram(axes[0], table.pictures["brightness"], _SHARE_BINS, _BLUE)
    axes[0].set(title="mean brightness of images", xlabel="0 black, 1 white")
    _histogram(axes[1], np.log10(table.pictures["burnt"] + 1e-4), 30, _RED)
    axes[1].set(title="share of burnt pixels", xticks=range(-4, 1), xticklabels=["0", "0.1 %", "1 %", "10 %", "all"])
    if table.hands:
        _histogram(axes[2], table.hands["skin_luma"], _SHARE_BINS, _ORANGE)
        axes[2].set(title="brightness of skin (median of a hand)", xlabel="0 black, 1 white")


def _distance(figure: Any, table: SampleStats) -> None:
    left, right = figure.subplots(1, 2)
    _histogram(left, table.hands["distance_m"], 30, _BLUE)
    left.set(title="distance of the wrist", xlabel="m along the optical axis")
    _histogram(right, table.hands["size_px"], 30, _BLUE)
    right.set(title="size in the image", xlabel="longer side of the joints' box (px)")


def _histogram(
    panel: Any, values: NDArray[Any], bins: Any, colour: str, label: str | None = None, alpha: float = 1.0
) -> None:
    """Shares of all values; what is unknown is left out."""
    known = values[np.isfinite(values)]
    weights = np.full(len(known), 1 / max(len(known), 1))
    panel.hist(known, bins, weights=weights, color=colour, label=label, alpha=alpha)


def _shares(values: NDArray[Any]) -> dict[str, float]:
    """Mean of each part of the hand; 0 where nothing is known."""
    return {part: share(values[:, k]) or 0.0 for k, part in enumerate(HAND_PARTS)}


def _bars(panel: Any, shares: dict[str, float], colour: str) -> None:
    drawn = panel.bar(range(len(shares)), shares.values(), color=colour)
    panel.bar_label(drawn, [f"{share:.0%}" for share in shares.values()], fontsize=8)
    panel.set_xticks(range(len(shares)), shares, fontsize=8)


Draw = Callable[[Any, SampleStats], None]

_OF_PICTURES: dict[str, tuple[Draw, tuple[float, float]]] = {
    "objects": (_objects, (13, 4.5)),
    "light": (_light, (13, 3.5)),
}
_OF_HANDS: dict[str, tuple[Draw, tuple[float, float]]] = {
    "pose": (_pose, (9, 10)),
    "shape": (_shape, (11, 4)),
    "viewpoint": (_viewpoint, (9, 5)),
    "visibility": (_visibility, (14, 4.5)),
    "grasp": (_grasp, (11, 4)),
    "distance": (_distance, (11, 4)),
}
