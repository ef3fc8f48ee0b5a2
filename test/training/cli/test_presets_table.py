import json

from prehend_training.cli.main import main
from prehend_training.cli.networks.presets import COLUMNS
from prehend_training.train.presets import PRESETS


def test_every_preset_has_a_line_that_tells_what_it_needs(capsys):
    assert main(["presets"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == list(COLUMNS)
    assert [line.split()[0] for line in lines] == list(PRESETS)
    needs = head.index("needs")
    assert all(line[needs:].strip() and line[needs - 1] == " " for line in lines), "columns stand below each other"
    by_name = dict(zip(PRESETS, lines, strict=True))
    assert "no images" in by_name["unihope-s-lift"] and "with twins" in by_name["unihope-b"]


def test_json_holds_every_number(capsys):
    assert main(["presets", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == list(PRESETS)
    assert told["unihope-b"]["optimisation"]["batch_size"] == PRESETS["unihope-b"].optimisation.batch_size
