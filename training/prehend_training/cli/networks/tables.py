"""The verbs of `prehend-train` that train and measure the rows of a paper's table."""

import argparse
from typing import Any

from prehend_training.cli.parsing.data import add_data_options, chosen_data
from prehend_training.cli.parsing.options import add_verb
from prehend_training.cli.parsing.training import add_table, extent_of, write_table

_GOES_ON = "; what is complete is not done again, what was stopped goes on"


def add_table_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    ablate = add_verb(
        verbs,
        "ablate",
        _ablate,
        "train and measure the rows of UniHOPE's Table 7 with several seeds (docs/ABLATION.md)" + _GOES_ON,
    )
    ablate.add_argument("base", metavar="PRESET", help="preset with ablation rows, e.g. unihope-xs")
    ablate.add_argument("--rows", default="abcdefg", help="rows to compare (abcdefg)")
    add_data_options(ablate)
    add_table(ablate, "crops (scenes --asset-split held-out)")

    views = add_verb(
        verbs,
        "views-table",
        _views_table,
        "train and measure SiMA-Hand's teacher, student and students without a part (docs/SIMA_HAND.md)" + _GOES_ON,
    )
    views.add_argument("base", metavar="PRESET", help="a student's preset: sima-s or sima-xs")
    views.add_argument(
        "--rows", default="views,full,plain,no-shape,no-orientation,no-attention",
        help="rows to compare, separated by commas (views,full,plain,no-shape,no-orientation,no-attention)",
    )  # fmt: skip
    add_data_options(views)
    add_table(views, "views (scenes --kind views --asset-split held-out)")


def _ablate(arguments: argparse.Namespace) -> None:
    from prehend_training.experiments.ablation import ablation_table
    from prehend_training.train.presets import preset

    extent, data = extent_of(arguments), chosen_data(arguments, preset(arguments.base))
    write_table(arguments, ablation_table(arguments.base, data, extent, arguments.rows), data)


def _views_table(arguments: argparse.Namespace) -> None:
    from prehend_training.experiments.views import views_table
    from prehend_training.train.presets import preset

    extent, data = extent_of(arguments), chosen_data(arguments, preset(arguments.base))
    rows = [row.strip() for row in arguments.rows.split(",")]
    write_table(arguments, views_table(arguments.base, data, extent, rows), data)
