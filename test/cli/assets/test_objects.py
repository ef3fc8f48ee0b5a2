import numpy as np
import pytest

from prehend.cli.main import main
from prehend.object_catalogue import OWN_OBJECTS, load_objects

trimesh = pytest.importorskip("trimesh", reason="the extra `objects` is not installed")


@pytest.fixture
def crate(tmp_path):
    trimesh.creation.box([60, 40, 120]).export(tmp_path / "crate.stl")
    return tmp_path / "crate.stl"


def test_list(capsys):
    assert main(["objects", "list"]) == 0
    out = capsys.readouterr().out
    for model in load_objects().values():
        assert model.object_id in out
    assert "11.9 x 8.0 x 9.5" in out  # the mug
    assert "from " in out


def test_import_says_unit_size_and_what_to_do(tmp_path, capsys, crate, monkeypatch):
    own = tmp_path / "own"
    assert main(["objects", "import", str(crate), "--out", str(own), "--half-turn", "x", "--any-turn", "z"]) == 0
    out = capsys.readouterr().out
    assert "12 triangles in mm (guessed" in out
    assert "6.00 x 4.00 x 12.00 cm" in out
    assert f"export PREHEND_OBJECTS={own}" in out
    model = load_objects(own)["crate"]
    assert model.symmetry.half_turns == ("x",)
    assert model.symmetry.continuous == "z"
    np.testing.assert_allclose(model.extents_m, [0.06, 0.04, 0.12])
    monkeypatch.setenv(OWN_OBJECTS, str(own))
    again = ["objects", "import", str(crate), "--replace", "--half-turn", "x", "--any-turn", "z"]
    assert main([*again, "--to", str(own)]) == 0  # as it was called
    assert "--out now" in capsys.readouterr().err
    assert main(["objects", "import", str(crate), "--id", "other", "--unit", "mm"]) == 0
    out = capsys.readouterr().out
    assert str(own / "other.yaml") in out
    assert "guessed" not in out
    assert "export" not in out
    assert main(["objects", "list"]) == 0
    out = capsys.readouterr().out
    assert "other" in out
    assert f"from {own}" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "action"),
        (["remove"], 2, "remove"),
        (["import"], 2, "MESH"),
        (["import", "none.stl"], 1, "does not exist"),
        (["import", "{crate}", "--unit", "ell"], 2, "ell"),
        (["import", "{crate}", "--unit", "m"], 1, "as mm it would be 12 cm"),
        (["import", "{crate}", "--id", "mug"], 1, "'mug' is taken"),
        (["import", "{crate}", "--id", "A B"], 1, "lower case"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, crate, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    try:
        got = main(["objects", *(argument.format(crate=crate) for argument in arguments)])
    except SystemExit as stop:
        got = stop.code
    said = capsys.readouterr()
    assert (got, said.out) == (code, "")
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "objects").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--help"], ["import", "--help"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(["objects", *arguments])
    assert stop.value.code == 0
    assert "usage: prehend objects" in capsys.readouterr().out
