import pytest

from prehend.ros.nodes.params_files import unused_files

VALUES = "{ros__parameters: {max_hands: 2}}"


@pytest.mark.parametrize(
    ("content", "node", "used"),
    [
        (f"/**: {VALUES}", "/prehend", True),
        (f"prehend: {VALUES}", "/prehend", True),
        (f"/prehend: {VALUES}", "/prehend", True),
        (f"prehend: {VALUES}", "/cell/prehend", False),
        (f"/cell/prehend: {VALUES}", "/cell/prehend", True),
        (f"cell: {{prehend: {VALUES}}}", "/cell/prehend", True),
        (f"/*/prehend: {VALUES}", "/cell/prehend", True),
        (f"/**/prehend: {VALUES}", "/a/b/prehend", True),
        (f"/**: {{camera: {VALUES}}}", "/prehend", False),
        (f"hands: {VALUES}", "/prehend", False),
        (f"{{hands: {VALUES}, prehend: {VALUES}}}", "/prehend", True),
        ("", "/prehend", True),
        ("[1, 2]", "/prehend", True),
    ],
)
def test_files_for_other_nodes_are_told(tmp_path, content, node, used):
    file = tmp_path / "node.yaml"
    file.write_text(content)
    told = unused_files(["--ros-args", "--params-file", str(file), "-p", "x:=1"], node)
    assert (told == []) == used
    assert used or (str(file) in told[0] and node in told[0])


def test_what_rcl_refuses_is_left_to_it(tmp_path):
    assert unused_files(["--params-file", str(tmp_path / "none.yaml")], "/prehend") == []
    assert unused_files(["--params-file"], "/prehend") == []
