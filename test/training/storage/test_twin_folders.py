"""Folders of twins that were cut off, changed or named oddly: what is whole is read, what is not is one line."""

from dataclasses import replace

import numpy as np
import pytest
from fake import fake_sample

from prehend.errors import AssetError, PrehendError
from prehend_training.sample import FrameId
from prehend_training.storage.codec import Packing, pack, unpack
from prehend_training.storage.twins import Twin, TwinFolder

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
MASK = PICTURE[..., 0] > 128


def twin(number, **frame):
    return Twin(FrameId("made-up", 1, number, **frame), number, 0.5, 0.7, (0.4, 0.7), (0.02, 0.01))


@pytest.fixture
def folder(tmp_path):
    made = TwinFolder.claim(tmp_path, {"seed": 0})
    for number in range(3):
        made.write(twin(number), PICTURE, MASK)
    return made


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 9999, '{"schema": 1}', '{"schema": 1, "schema": 2}'])
def test_a_damaged_description_is_one_line(folder, text):
    (folder.path / "config.json").write_text(text)
    for ask in (TwinFolder.open, lambda path: TwinFolder.claim(path, {"seed": 0})):
        with pytest.raises(PrehendError) as caught:
            ask(folder.path)
        assert "\n" not in str(caught.value) and str(folder.path) in str(caught.value)


@pytest.mark.parametrize(
    "line", ["{}", "[]", "5", '{"index": 1}', "{", '{"frame_id": 5, "strengths": [], "j_pe_m": []}']
)
def test_a_broken_line_is_named_unless_it_is_the_last_and_cut_off(folder, line):
    path = folder.lines((0, 1))
    whole = path.read_bytes()
    path.write_bytes(whole + line.encode())
    assert len(TwinFolder.open(folder.path)) == 3
    path.write_bytes(line.encode() + b"\n" + whole)
    with pytest.raises(AssetError, match="broken line") as caught:
        TwinFolder.open(folder.path)
    assert "\n" not in str(caught.value)


def test_wherever_the_writing_was_stopped_it_goes_on_behind_the_last_whole_line(folder):
    path = folder.lines((0, 1))
    whole = path.read_bytes()
    ends = [k + 1 for k, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(0, len(whole) + 1, 17):
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        again = TwinFolder.open(folder.path)
        assert len(again) == kept and again.resume((0, 1)) == kept
        assert path.read_bytes() == whole[: ends[kept - 1] if kept else 0]
        again.write(twin(kept), PICTURE, MASK)
        assert len(TwinFolder.open(folder.path)) == kept + 1


def test_every_view_and_frame_has_a_twin_of_its_own_whatever_they_are_called(folder):
    names = [
        {"view": "cam0"},
        {"view": "cam1"},
        {"sequence": "a/b", "frame": 3},
        {"sequence": "../up.png"},
        {"sequence": "hä %2F"},
    ]
    for k, frame in enumerate(names):
        folder.write(twin(2, **frame), np.full((4, 5, 3), 10 * k, np.uint8), np.full((4, 5), k % 2 == 0))
    again = TwinFolder.open(folder.path)
    for k, frame in enumerate(names):
        own = twin(2, **frame).frame_id
        assert (again.read(own) == 10 * k).all() and (again.read_silhouette(own) == (k % 2 == 0)).all()
    assert not list(folder.path.parent.glob("up*")) and not list(folder.path.rglob("*.partial"))


def test_a_twin_that_is_written_again_is_the_last_one(folder):
    folder.write(replace(twin(1), strength=0.4), 255 - PICTURE, ~MASK)
    again = TwinFolder.open(folder.path)
    own = twin(1).frame_id
    assert len(again) == 3 and again.twins[own].strength == 0.4
    assert np.array_equal(again.read(own), 255 - PICTURE) and np.array_equal(again.read_silhouette(own), ~MASK)


def test_numbers_of_labels_come_back_as_the_float32_they_were_whatever_their_size():
    sample = next(one for one in (fake_sample(5, k, "frames", 48) for k in range(9)) if one.hands)
    rng = np.random.default_rng(1)
    wild = (rng.standard_normal((21, 3)) * 10.0 ** rng.integers(-30, 30, (21, 3))).astype(np.float32)
    wild[0] = 0.1, -0.0, np.float32(1e-45)
    label = replace(sample.hands[0], joints_m=wild, visible_ratio=float(np.float32(0.1)))
    again = unpack(pack(replace(sample, hands=(label,)), Packing("none"))).hands[0]
    assert again.joints_m.dtype == np.float32 and again.joints_m.tobytes() == wild.tobytes()
    assert np.float32(again.visible_ratio) == np.float32(0.1)


def test_packing_the_same_sample_gives_the_same_bytes_and_again_after_reading():
    for packing in (Packing("all", "png"), Packing("twin", "png")):
        sample = fake_sample(5, 2, "frames", 48)
        files = pack(sample, packing)
        assert files == pack(sample, packing) == pack(unpack(files), packing)
    without = unpack(pack(sample, Packing("all", "png")), meshes=False)
    assert all(len(hand.vertices_m) == 0 for hand in without.hands)
    assert unpack(pack(sample, Packing("all", "png")), maps="none").maps is None
