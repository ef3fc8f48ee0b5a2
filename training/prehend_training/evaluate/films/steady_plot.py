"""What filters and several frames are worth, as two plots: how hidden a finger is, and tremor against delay."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prehend.eval.figures import figure_class, save_figure

_NAMES = {"measured": "measured", "one_euro": "One-Euro", "kalman_0_s": "Kalman"}
_SEVERAL = "fused_"
_COLOURS = {"": "#b03a3a", _SEVERAL: "#3d8f4f"}
_LATE, _LATEST = "kalman_0.1_s", "kalman_0.2_s"


def draw_steady(report: Mapping[str, Any], path: Path) -> None:
    """Draw what `fused.evaluate_steady` says.

    Args:
        report: of it.
        path: PNG to write.

    Raises:
        MissingDependency: matplotlib is not installed.
        OutputError: `path` cannot be written.
    """
    drawn = figure_class("steady --plot")(figsize=(8.0, 2.9), layout="constrained")
    left, right = drawn.subplots(1, 2)
    kinds = [kind for kind in _COLOURS if f"{kind}measured" in report]
    bars = [(f"{kind}measured", _COLOURS[kind], "several frames" if kind else "one frame") for kind in kinds]
    bars.append((f"{kinds[-1]}{_LATE}", "#9fc9a6", f"{bars[-1][2]}, Kalman, 0.1 s later"))
    for place, (name, colour, label) in enumerate(bars):
        bins = report[name]["finger_joint_error_by_hidden"]
        heights = [one["joint_error_mm"] or 0.0 for one in bins.values()]
        shift = (place - (len(bars) - 1) / 2) * 0.27
        left.bar([k + shift for k in range(len(heights))], heights, 0.25, color=colour, label=label)
        ticks = [name.replace("%-", " to ").replace("%", " %") for name in bins]
        left.set_xticks(range(len(bins)), ticks, fontsize=8)
    left.set_xlabel("of the finger hidden")
    left.set_ylabel("joints of the finger [mm]")
    left.legend(frameon=False, fontsize=7)
    left.margins(y=0.45)
    for kind in kinds:
        for name, said in report.items():
            if not isinstance(said, Mapping) or name.startswith(_SEVERAL) != bool(kind) or said["delay_ms"] is None:
                continue
            short = name.removeprefix(_SEVERAL)
            at = said["delay_ms"], said["acceleration_error_mm_s2"] / 1e3
            right.plot(*at, "o", color=_COLOURS[kind], markersize=5)
            told = _NAMES.get(short, short.removeprefix("kalman_").replace("_s", " s later"))
            beside = (5, -8) if short == _LATEST else (5, 1)
            right.annotate(told, at, beside, textcoords="offset points", fontsize=7, color=_COLOURS[kind])
    right.set_xlabel("comes later than one frame's answer [ms]")
    right.set_ylabel("acceleration error [m/s2]")
    right.margins(x=0.3, y=0.12)
    save_figure(drawn, path, 100)
