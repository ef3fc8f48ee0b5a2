"""Recordings as Rerun's own reader sees them."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import OutputError
from prehend.view.seen import HeldBoxes, Seen

rerun = pytest.importorskip("rerun", reason="the extra 'rerun' is not installed")
from prehend.view.rerun_ import RerunScreen, vertex_normals  # noqa: E402


def chunks(path):
    """{entity: [record batches]} of a recording."""
    found = {}
    for chunk in rerun.chunk.RrdReader(str(path)).stream():
        found.setdefault(chunk.entity_path, []).append(chunk)
    return found


def values(entries, column):
    """What is in a column of an entity, in the order of its frames."""
    rows = []
    for chunk in entries:
        batch = chunk.to_record_batch()
        names = [name for name in batch.schema.names if name.endswith(column)]
        if names and "frame" in batch.schema.names:
            rows += zip(batch.column("frame").to_pylist(), batch.column(names[0]).to_pylist(), strict=True)
    return [value for _, value in sorted(rows, key=lambda row: row[0])]


@pytest.fixture
def recorded(tmp_path, faces, make_seen):
    """recorded(*frames): the content of a recording of them."""

    def record(*frames: Seen):
        with RerunScreen.opened("clip", faces, HeldBoxes({}), tmp_path / "a.rrd") as screen:
            for seen in frames:
                screen.show(seen)
            assert not (tmp_path / "a.rrd").exists()  # under its name once it is whole
        assert [path.name for path in tmp_path.iterdir()] == ["a.rrd"]
        return chunks(tmp_path / "a.rrd")

    return record


def test_hands_lie_in_the_camera_frame_and_times_go_along(recorded, make_seen, result):
    content = recorded(make_seen(1), make_seen(2))
    right = result.hands[1]
    vertices = values(content["/camera/hands/right_2/mesh"], "vertex_positions")
    assert len(vertices) == 2 and np.allclose(vertices[0], right.vertices_m, atol=1e-6)
    assert np.allclose(values(content["/grasp/left_1"], "scalars"), 0.75)
    assert np.allclose(values(content["/latency_ms/total"], "scalars"), 4.75)
    keypoints = values(content["/camera/image/left_1"], "Points2D:positions")
    assert np.allclose(keypoints[0], result.hands[0].keypoints_px, atol=1e-4)
    assert values(content["/events"], "text") == [["left_1: grasping"], ["right_2: grasping"]]  # once, not each frame
    assert content["/camera"][0].is_static
    timelines = {name for chunk in content["/camera/image"] for name in chunk.timeline_names}
    assert {"frame", "time"} <= timelines and "stamp" not in timelines


def test_stamps_of_a_clock_are_a_timeline(recorded, make_seen, result):
    content = recorded(make_seen(1, result=replace(result, stamp=1.7e9)))
    assert "stamp" in {name for chunk in content["/camera/image"] for name in chunk.timeline_names}


def test_a_hand_that_is_gone_is_cleared(recorded, make_seen, result):
    content = recorded(make_seen(1), make_seen(2, result=replace(result, hands=result.hands[1:])))
    assert values(content["/camera/hands/left_1"], "is_recursive") == [[True]]
    assert "/camera/hands/right_2" not in content


def test_the_box_of_a_held_object_is_where_it_is_held(recorded, make_seen, result):
    held = replace(result.hands[1].held_object, extents_m=np.array([0.08, 0.1, 0.06]))
    hand = replace(result.hands[1], held_object=held)
    content = recorded(make_seen(1, result=replace(result, hands=(hand,))))
    strips = np.array(values(content["/camera/hands/right_2/held/box"], "strips")[0])
    assert strips.shape == (12, 2, 3) and np.allclose(strips.mean((0, 1)), [0.05, 0, 0.5], atol=1e-6)
    assert np.allclose(values(content["/camera/hands/right_2/held/pose"], "translation")[0], [[0.05, 0, 0.5]])


def test_a_folder_that_is_not_there_is_told(tmp_path, faces):
    with pytest.raises(OutputError, match=r"gone/a\.rrd cannot be written"):
        RerunScreen.opened("clip", faces, HeldBoxes({}), tmp_path / "gone" / "a.rrd")


def test_normals_point_away_from_the_middle_of_a_ball():
    points = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    from itertools import combinations

    hull = [
        f
        for f in combinations(range(8), 3)
        if any((points[list(f), axis] == points[f[0], axis]).all() for axis in range(3))
    ]
    outward = []
    for a, b, c in hull:
        normal = np.cross(points[b] - points[a], points[c] - points[a])
        outward.append((a, b, c) if normal @ points[a] > 0 else (a, c, b))
    normals = vertex_normals(points, np.array(outward))
    assert np.allclose(normals, points / np.sqrt(3))
