"""Images of a report: PCK curves, and error by how much of the hand is hidden. Needs matplotlib."""

from pathlib import Path
from typing import Any

from prehend.eval.figures import figure_class, save_figure
from prehend.eval.papers.report import Report
from prehend.eval.papers.tables import COLUMN_TITLES

_COLOURS = {"boxes": "#1f77b4", "boxes_found": "#7fb2d9", "detector": "#d95f02"}
_KINDS = {"j_pck": ("joints", "-"), "v_pck": ("vertices", "--")}


def draw_plots(report: Report, folder: Path) -> list[Path]:
    """Write `pck.png` and, where the data tells what is hidden, `occlusion.png`.

    Args:
        report: see `report.SCHEMA`.
        folder: is made.

    Returns:
        The paths of what was written.

    Raises:
        MissingDependency: matplotlib is not installed.
        OutputError: a file cannot be written.
    """
    Figure = figure_class("drawing plots")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [save_figure(_pck(Figure((10, 4.2), layout="constrained"), report), folder / "pck.png")]
    if any(column["occlusion"] for column in report["columns"].values()):
        paths.append(save_figure(_occlusion(Figure((10, 4.2), layout="constrained"), report), folder / "occlusion.png"))
    return paths


def draw_reliability(calibration: Report, path: Path) -> Path | None:
    """Reliability plots of some scores: how often what was said came true, by the probability it was said with.

    Args:
        calibration: name of a score -> `calibration.reliability`; scores without answers are left out.
        path: of a .png.

    Returns:
        The path; None where no score has answers.

    Raises:
        MissingDependency: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    Figure = figure_class("drawing plots")
    told = {name: score for name, score in calibration.items() if isinstance(score, dict) and score.get("bins")}
    if not told:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure((3.6 * len(told), 3.9), layout="constrained")
    for panel, (name, score) in zip(figure.subplots(1, len(told), squeeze=False)[0], told.items(), strict=True):
        panel.plot([0, 1], [0, 1], color="#999999", linewidth=1)
        said, true = ([one[key] for one in score["bins"]] for key in ("said", "true"))
        panel.plot(said, true, "o-", color=_COLOURS["boxes"])
        for one in score["bins"]:
            panel.annotate(
                str(one["count"]), (one["said"], one["true"]), (4, -10), textcoords="offset points", fontsize=7
            )
        panel.set(title=f"{name}: ECE {score['ece']:.3f}", xlabel="said", xlim=(0, 1), ylim=(-0.02, 1.02))
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel("came true (numbers: answers)")
    return save_figure(figure, path)


def _title(figure: Any, report: Report) -> None:
    figure.suptitle(f"{report['model']['name']} on {report['data']['title']}", fontsize=11)


def _pck(figure: Any, report: Report) -> Any:
    """Share of points within a distance, root-relative on the left, aligned on the right."""
    _title(figure, report)
    for panel, prefix, title in zip(
        figure.subplots(1, 2, sharey=True), ("", "pa_"), ("wrist on wrist", "aligned (PA)"), strict=True
    ):
        for name, column in report["columns"].items():
            curves = column["curves"]
            for kind, (label, style) in _KINDS.items():
                values = curves[prefix + kind]
                if values is None:
                    continue
                area = column["scenes"]["all"][f"{prefix}{kind[0]}_auc"]
                panel.plot(
                    curves["thresholds_mm"], values, style, color=_COLOURS[name],
                    label=f"{label}, {COLUMN_TITLES[name]}: AUC {area:.1f}",
                )  # fmt: skip
        panel.set(title=title, xlabel="threshold [mm]", xlim=(0, curves["thresholds_mm"][-1]), ylim=(0, 100))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.axes[0].set_ylabel("points within it [%]")
    return figure


def _occlusion(figure: Any, report: Report) -> Any:
    """Mean joint error of each occlusion bin, with how many answers it is the mean of."""
    _title(figure, report)
    names = list(report["columns"])
    width = 0.8 / len(names)
    for panel, measure, title in zip(
        figure.subplots(1, 2), ("j_pe_mm", "pa_j_pe_mm"), ("J-PE, wrist on wrist", "PA-J-PE"), strict=True
    ):
        for k, name in enumerate(names):
            bins = report["columns"][name]["occlusion"]
            places = [row + (k - (len(names) - 1) / 2) * width for row in range(len(bins))]
            heights = [group[measure] or 0.0 for group in bins.values()]
            bars = panel.bar(places, heights, 0.92 * width, color=_COLOURS[name], label=COLUMN_TITLES[name])
            panel.bar_label(bars, [_answers(group) for group in bins.values()], fontsize=7)
        panel.set(title=title, xlabel="hidden share of the hand [%] (on the bars: answers)", ylabel="mm")
        panel.margins(y=0.25)  # room for the legend
        panel.set_xticks(range(len(bins)), list(bins))
        panel.grid(axis="y", alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    return figure


def _answers(group: Report) -> str:
    """How many hands of a group have an answer, empty for none."""
    count = round(group["hands"] * (group["answered"] or 0) / 100)
    return str(count or "")
