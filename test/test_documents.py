import json
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.documents import parse_json, parse_yaml, read_document, read_text
from prehend.errors import AssetError, SourceError


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, "[" * 70 + "]" * 70])
def test_depth_is_counted_before_anything_recurses(parse, text):
    with pytest.raises(SourceError, match="x: ") as error:
        parse(text, "x")
    assert "\n" not in str(error.value)


def test_aliases_that_unfold_to_gigabytes_are_refused_at_once():
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    start = time.monotonic()
    with pytest.raises(SourceError, match="unfolds"):
        parse_yaml("\n".join(lines), "bomb")
    assert time.monotonic() - start < 1
    with pytest.raises(SourceError, match="unfolds"):
        parse_yaml("a: &a [*a]", "ring")
    assert parse_yaml("a: &a [1, 2]\nb: *a", "x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    "text", ["a: !!timestamp x", "a: 1\na: 2", "? [1]\n: 2", f"a: {'9' * 5000}", "a: !!python/object:os.x {}", "\0"]
)
def test_yaml_that_its_parser_stumbles_over_is_one_line(text):
    with pytest.raises(SourceError, match=r"^x: "):
        parse_yaml(text, "x")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{", "", "9" * 5000, "nul"])
def test_json_that_is_none_is_one_line(text):
    with pytest.raises(SourceError, match=r"^x: "):
        parse_json(text, "x")


def test_the_first_document_counts_and_opencvs_head_is_known():
    assert parse_yaml("---\n---\na: 1\n---\nb: 2\n", "x") == {"a": 1}
    assert parse_yaml("%YAML:1.0\n---\nM: !!opencv-matrix {rows: 1, cols: 1, dt: d, data: [2.]}", "x") == {
        "M": {"rows": 1, "cols": 1, "dt": "d", "data": [2.0]}
    }


def test_only_regular_files_of_a_sane_size_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "large.json").write_bytes(b" " * 2000)
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe{")
    for name, says in (("fifo.json", "no regular file"), ("gone.json", "no such file"), ("latin.json", "UTF-8")):
        with pytest.raises(AssetError, match=says):
            read_document(tmp_path / name, AssetError)
    with pytest.raises(SourceError, match="larger"):
        read_text(tmp_path / "large.json", limit=1000)
    with pytest.raises(SourceError, match="folder"):
        read_document(tmp_path)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet=st.sampled_from("[]{}:,&*!-?|>\"'#%@ \n\t01aé~."), max_size=60))
def test_any_text_is_read_or_refused(text):
    for parse in (parse_json, parse_yaml):
        try:
            parse(text, "x")
        except SourceError as error:
            assert "\n" not in str(error)


def test_the_suffix_says_which_and_otherwise_the_first_letter(tmp_path):
    for name, text in (("a.json", '{"k": 1}'), ("a.yaml", "k: 1"), ("a.txt", '{"k": 1}'), ("a.cfg", "k: 1")):
        (tmp_path / name).write_text(text)
        assert read_document(tmp_path / name) == json.loads('{"k": 1}')
