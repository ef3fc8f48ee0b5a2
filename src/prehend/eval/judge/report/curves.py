"""Plots of a report as SVG text, the same bytes for the same numbers. Needs matplotlib."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.eval.figures import figure_class
from prehend.eval.judge.happenings import Happening
from prehend.eval.judge.motion import frame_jitter, spread, times_of
from prehend.eval.judge.summary import BOX_THRESHOLDS, SPACES, Judged, box_curve, joint_curve, known_errors
from prehend.eval.metrics import PCK_THRESHOLDS_M

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
_STYLES = {"wrist": ("wrist on wrist", "-"), "pa": ("aligned (PA)", "--"), "absolute": ("absolute", ":")}
_TRUE, _SAID, _LOST = "#009e73", "#d55e00", "#bbbbbb"
_MOST_POINTS = 1200
"""Of a line; of more frames the highest of each stretch is drawn."""


def check_matplotlib() -> None:
    """Raise `MissingDependency` where matplotlib is not installed."""
    figure_class("the report's plots")


def pck_plot(runs: Sequence[Judged]) -> str | None:
    """Share of joints and keypoints within a distance; None where neither is known."""
    joints = [(run, space, joint_curve(run.rows, space)) for run in runs for space in SPACES]
    joints = [one for one in joints if np.isfinite(one[2]).all()]
    boxes = [(run, curve) for run in runs if np.isfinite(curve := box_curve(run.rows)).all()]
    panels = bool(joints) + bool(boxes)
    if not panels:
        return None
    figure = _figure(5.2 * panels, 3.6)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    if joints:
        panel = axes.pop(0)
        for run, space, curve in joints:
            label, style = _STYLES[space]
            panel.plot(
                1e3 * PCK_THRESHOLDS_M, 100 * curve, style, color=_colour(runs, run), label=_label(runs, run, label)
            )
        _finish(panel, "joints", "threshold [mm]", "joints within it [%]", (0, 50))
    if boxes:
        panel = axes.pop(0)
        for run, curve in boxes:
            panel.plot(BOX_THRESHOLDS, 100 * curve, color=_colour(runs, run), label=_label(runs, run, "keypoints"))
        _finish(panel, "keypoints", "threshold [longer sides of the hand's box]", "keypoints within it [%]", (0, 0.5))
    return _svg(figure)


def error_plot(run: Judged) -> str | None:
    """Errors of hands over time, with the spans in which they were not found; None without a truth of hands."""
    times, clock = _clock(run)
    lines: list[tuple[str, str, Callable[[Any], NDArray[np.float64]]]] = [
        ("wrist on wrist [mm]", COLOURS[0], lambda row: 1e3 * known_errors(row.wrist)),
        ("absolute [mm]", COLOURS[1], lambda row: 1e3 * known_errors(row.absolute)),
        ("keypoints [% of the box]", COLOURS[2], lambda row: 100 * known_errors(row.px) / row.box_px),
    ]
    drawn = [(label, colour, _per_frame(run, error)) for label, colour, error in lines]
    drawn = [one for one in drawn if np.isfinite(one[2]).any()]
    if not drawn:
        return None
    figure = _figure(10.4, 3.0)
    panel = figure.subplots()
    _shade(panel, run, times)
    for label, colour, values in drawn:
        panel.plot(*_thinned(times, values), color=colour, linewidth=1, label=label)
    _finish(panel, "error over time (mean over hands)", clock, "error", _limits(times))
    return _svg(figure)


def jitter_plot(run: Judged) -> str | None:
    """Size of the wrist's second difference over time; None where nothing was followed."""
    jitter = frame_jitter(run.frames)
    if not jitter:
        return None
    times, clock = _clock(run)
    values = np.full(len(times), np.nan)
    values[list(jitter)] = [1e3 * value for value in jitter.values()]
    figure = _figure(10.4, 2.4)
    panel = figure.subplots()
    _shade(panel, run, times)
    panel.plot(*_thinned(times, values), color=COLOURS[3], linewidth=1, label="wrist")
    _finish(panel, "jitter (second difference; motion has some too)", clock, "mm", _limits(times))
    return _svg(figure)


def grasp_plot(run: Judged) -> str | None:
    """When hands grasp, as said and as is true, with the events; None where no hand was followed."""
    if not run.events:
        return None
    times, clock = _clock(run)
    rows = [*_said_rows(run), *_true_rows(run)]
    figure = _figure(10.4, 0.7 + 0.42 * len(rows))
    panel = figure.subplots()
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    for height, (_, present, grasping, colour) in enumerate(rows):
        panel.broken_barh(_bars(times, present, step), (height - 0.12, 0.24), color="#dddddd")
        panel.broken_barh(_bars(times, grasping, step), (height - 0.3, 0.6), color=colour)
    names = [name for name, *_ in rows]
    heights = {name.split(" (")[0]: height for height, name in enumerate(names)}
    for ending, marker in (("grasped", "^"), ("released", "v")):
        marked = [
            (times[min(event.frame, len(times) - 1)], heights[who])
            for event in run.events
            if event.what.endswith(ending) and (who := _who(event)) in heights
        ]
        panel.plot([time for time, _ in marked], [row for _, row in marked], marker, color="black", markersize=5)
    panel.set_yticks(range(len(rows)), names, fontsize=8)
    panel.set(xlim=_limits(times), ylim=(-0.6, len(rows) - 0.4), xlabel=clock)
    panel.invert_yaxis()
    return _svg(figure)


def latency_plot(runs: Sequence[Judged]) -> str | None:
    """Median and 95th percentile of each stage; None without wall times."""
    told = [(run, {stage: spread(times, 3) for stage, times in run.timings.items()}) for run in runs if run.timings]
    if not told:
        return None
    stages = list(dict.fromkeys(stage for _, spreads in told for stage in spreads))
    figure = _figure(6.4, 0.8 + 0.35 * len(stages) * len(told))
    panel = figure.subplots()
    height = 0.8 / len(told)
    for number, (run, spreads) in enumerate(told):
        places = [row + number * height for row in range(len(stages))]
        middle, high = ([(spreads.get(stage) or {}).get(key, 0.0) for stage in stages] for key in ("median", "p95"))
        panel.barh(places, high, 0.9 * height, color=_colour(runs, run), alpha=0.3)
        panel.barh(
            places, middle, 0.9 * height, color=_colour(runs, run), label=_label(runs, run, "median (pale: p95)")
        )
    panel.set_yticks([row + 0.4 - height / 2 for row in range(len(stages))], stages)
    panel.invert_yaxis()
    panel.set(xlabel="ms")
    panel.legend(fontsize=8)
    return _svg(figure)


def _said_rows(run: Judged) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_], str]]:
    """Each followed hand: name, where it is present, where it grasps, colour."""
    tracks: dict[int, tuple[str, NDArray[np.bool_], NDArray[np.bool_]]] = {}
    for place, frame in enumerate(run.frames):
        for hand in frame.result.hands:
            if hand.track_id not in tracks:
                present, grasping = np.zeros((2, len(run.frames)), np.bool_)
                tracks[hand.track_id] = (hand.side, present, grasping)
            _, present, grasping = tracks[hand.track_id]
            present[place], grasping[place] = True, hand.grasp.state == "grasping"
    longest = sorted(tracks, key=lambda track: (-int(tracks[track][1].sum()), track))[:12]
    return [(f"hand {track} ({tracks[track][0]})", *tracks[track][1:], _SAID) for track in sorted(longest)]


def _true_rows(run: Judged) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_], str]]:
    rows = []
    for one in run.series:
        present, grasping = np.zeros((2, len(run.frames)), np.bool_)
        present[list(one.places)] = True
        grasping[[place for place, value in zip(one.places, one.true, strict=True) if value]] = True
        rows.append((f"true: {one.who}", present, grasping, _TRUE))
    return rows


def _who(event: Happening) -> str:
    """The row of a grasp plot that an event belongs to."""
    return f"hand {event.track_id}" if event.track_id else f"true: {event.who}"


def _clock(run: Judged) -> tuple[NDArray[np.float64], str]:
    """What goes along a plot, and its name: seconds, or frames where there are no stamps."""
    if all(frame.stamp is not None for frame in run.frames):
        return np.array(times_of(run.frames)), "time [s]"
    return np.arange(len(run.frames), dtype=np.float64), "frame"


def _bars(times: NDArray[np.float64], where: NDArray[np.bool_], step: float) -> list[tuple[float, float]]:
    """Start and length of each span of frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    return [(float(times[a]), float(times[b - 1] - times[a] + step)) for a, b in edges.reshape(-1, 2)]


def _per_frame(run: Judged, error: Callable[[Any], NDArray[np.float64]]) -> NDArray[np.float64]:
    """(N,) mean of the found hands of each frame, NaN where there is none."""
    sums, counts = np.zeros((2, len(run.frames)))
    for row in run.rows:
        if row.kind == "found" and len(values := error(row)):
            sums[row.frame] += values.mean()
            counts[row.frame] += 1
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _shade(panel: Any, run: Judged, times: NDArray[np.float64]) -> None:
    for span in run.lost:
        panel.axvspan(times[span.first], times[span.last] + 1e-3, color=_LOST, alpha=0.5, linewidth=0)


def _thinned(times: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """At most `_MOST_POINTS` of a line: the highest of each stretch."""
    if len(times) <= _MOST_POINTS:
        return times, values
    rows = [
        int(part[0] + np.nanargmax(np.where(np.isfinite(values[part]), values[part], -1.0)))
        for part in np.array_split(np.arange(len(times)), _MOST_POINTS)
    ]
    return times[rows], values[rows]


def _limits(times: NDArray[np.float64]) -> tuple[float, float]:
    return (0.0, max(float(times[-1]), 1e-3)) if len(times) else (0.0, 1.0)


def _finish(panel: Any, title: str, x: str, y: str, limits: tuple[float, float]) -> None:
    panel.set_title(title, fontsize=10)
    panel.set(xlabel=x, ylabel=y, xlim=limits)
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


def _colour(runs: Sequence[Judged], run: Judged) -> str:
    return COLOURS[runs.index(run) % len(COLOURS)]


def _label(runs: Sequence[Judged], run: Judged, what: str) -> str:
    """Names come last: matplotlib hides labels that begin with "_", and takes what lies between "$" for a formula."""
    return what if len(runs) == 1 else f"{what}, {run.name}".replace("$", r"\$")


def _figure(width: float, height: float) -> Any:
    return figure_class("the report's plots")((width, height), layout="constrained")


def _svg(figure: Any) -> str:
    """The figure as an SVG element without dates or random ids."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "prehend", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
