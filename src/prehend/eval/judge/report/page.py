"""The report as one HTML file that needs no network: tables, plots, the worst frames, settings."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from prehend import __version__
from prehend.eval.judge.report.curves import error_plot, grasp_plot, jitter_plot, latency_plot, pck_plot
from prehend.eval.judge.report.spreadsheets import number_text, table_rows
from prehend.eval.judge.report.worst import Bad
from prehend.eval.judge.summary import Judged, latency_measures

_MOST_EVENTS = 200

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #1b1b1b; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc; } h3 { font-size: 1em; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .25em .6em; border-bottom: 1px solid #e3e3e3; }
td { text-align: right; font-variant-numeric: tabular-nums; } td:first-child, th:first-child { text-align: left; }
.text td { text-align: left; } .scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; }
figure { display: inline-block; margin: .4em; vertical-align: top; } figure img { width: 340px; max-width: 100%; }
figcaption { font-size: 12px; max-width: 340px; } .note { color: #666; font-size: 13px; } code { font-size: 12px; }
"""


def html_report(
    runs: Sequence[Judged],
    compared: Sequence[tuple[str, str, Sequence[Mapping[str, Any]]]],
    worst: Sequence[Bad],
    pictures: Mapping[tuple[int, int], str],
) -> str:
    """The whole page.

    Args:
        runs: judged.
        compared: names of two runs and `compare.differences`.
        worst: frames, and `pictures` of those that could be had, by run and place.
    """
    title = "prehend eval: " + ", ".join(run.name for run in runs[:4]) + (" and others" if len(runs) > 4 else "")
    parts = [
        f"<h1>{escape(title)}</h1>",
        _section("Summary", _summary(runs)),
        *(_section(f"{b} beside {a}", _differences(a, b, rows)) for a, b, rows in compared),
        _section("Share of correct keypoints", pck_plot(runs) or _note("no true hands")),
        *(_run_section(run) for run in runs),
        _section("Latency by stage", _latency(runs)),
        _section("Worst frames", _worst(runs, worst, pictures)),
        _section("Settings and checksums", _settings(runs)),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _summary(runs: Sequence[Judged]) -> str:
    headings, rows = table_rows(runs)
    table = _table(["run", *headings], [[name, *map(number_text, cells)] for name, cells in rows])
    truths = "".join(
        _note(f"{run.name}: {'truth is ' + run.truth_title if run.truth_title else 'no truth given'}"
              + ("" if run.answers.complete else "; the run was stopped before its source ended"))
        for run in runs
    )  # fmt: skip
    return table + truths


def _differences(a: str, b: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return _note("no frame in common: nothing can be compared")
    headings = ["measure", "unit", "pairs", a, b, "difference", "95 % interval"]
    told = ("first", "other", "difference")
    cells = [
        [
            row["measure"], row["unit"], str(row["pairs"]), *(number_text(row[key]) for key in told),
            "-" if row["low"] is None else f"{number_text(row['low'])} to {number_text(row['high'])}",
        ]
        for row in rows
    ]  # fmt: skip
    return _table(headings, cells) + _note(
        "paired over the same frames and hands; the interval is a bootstrap over seconds (or single images)"
    )


def _run_section(run: Judged) -> str:
    plots = [error_plot(run), grasp_plot(run), jitter_plot(run)]
    body = "".join(plot for plot in plots if plot)
    body += f"<details><summary>all measures</summary>{_measures(run.measures)}</details>"
    if run.lost:
        cells = [
            [
                span.kind,
                span.who,
                str(run.frames[span.first].index),
                str(run.frames[span.last].index),
                f"{span.seconds:.3f}",
            ]
            for span in run.lost[:_MOST_EVENTS]
        ]
        body += "<h3>Lost spans</h3>" + _table(["kind", "hand", "first frame", "last frame", "seconds"], cells)
    if run.events:
        cells = [
            [event.what, event.who, str(event.track_id or "-"), _when(run, event.frame), event.detail]
            for event in run.events[:_MOST_EVENTS]
        ]
        body += "<h3>Events</h3>" + _table(["event", "hand", "track", "at", ""], cells)
        if len(run.events) > _MOST_EVENTS:
            body += _note(f"{len(run.events) - _MOST_EVENTS} more in events.csv")
    return _section(run.name, body)


def _measures(measures: Mapping[str, Any]) -> str:
    return _table(["measure", "value"], [[name, number_text(value)] for name, value in _flat("", measures)])


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """Names with dots, and what is known."""
    if isinstance(value, Mapping):
        return [one for key, inner in value.items() for one in _flat(f"{prefix}.{key}" if prefix else str(key), inner)]
    return [] if value is None else [(prefix, value)]


def _latency(runs: Sequence[Judged]) -> str:
    plot = latency_plot(runs)
    if plot is None:
        return _note("no wall times")
    cells = [
        [run.name, stage, number_text(times["median"]), number_text(times["p95"])]
        for run in runs
        for stage, times in latency_measures(run).items()
        if times is not None
    ]
    return (
        plot
        + _table(["run", "stage", "median [ms]", "p95 [ms]"], cells)
        + _note("wall times of the machine that ran it; they are not the same in two runs")
    )


def _worst(runs: Sequence[Judged], worst: Sequence[Bad], pictures: Mapping[tuple[int, int], str]) -> str:
    if not worst:
        return _note("no frame with an error")
    figures = []
    for bad in worst:
        run = runs[bad.run]
        frame = run.frames[bad.place]
        caption = f"{escape(run.name)}: {escape(frame.source)} frame {frame.index}: {escape(bad.why)}"
        data = pictures.get((bad.run, bad.place))
        image = (
            f'<img alt="" src="data:image/jpeg;base64,{data}">' if data else _note("the image is not there any more")
        )
        figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return "".join(figures) + _note("colours: what was said; white: what is true")


def _settings(runs: Sequence[Judged]) -> str:
    cells = [["prehend", "version", __version__]]
    for run in runs:
        told = {"source": run.source, "model": run.answers.model, "weights sha256": run.answers.weights_sha256}
        cells += [[run.name, name, text] for name, text in told.items() if text]
        cells += [[run.name, name, str(value)] for name, value in run.settings.items() if value is not None]
    return _table(["run", "setting", "value"], cells, "text")


def _when(run: Judged, place: int) -> str:
    frame = run.frames[min(place, len(run.frames) - 1)]
    return f"frame {frame.index}" if frame.stamp is None else f"{frame.stamp:.3f} s"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table class="{kind}"><tr>{head}</tr>\n{body}</table></div>'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'
