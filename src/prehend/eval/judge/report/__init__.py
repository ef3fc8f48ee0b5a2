"""The report of a judgement: page, plots, tables, worst frames."""
