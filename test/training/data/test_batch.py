"""What batches hold is what `data.batch` says, whoever makes them, and losses read nothing else."""

from dataclasses import replace

import pytest
import torch

from prehend_training.data.batch import CropBatch, DetectorBatch, SkeletonBatch, WindowBatch, arrays_of, faults
from prehend_training.losses.lite import SKELETON
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.presets import preset


def sizes_of(chosen):
    return {"S": chosen.data.size_px, "G": chosen.data.object_grid}


@pytest.mark.parametrize("name", ["debug-unihope", "debug-lite", "debug-paper", "unihope-s", "debug-h2onet-frame"])
def test_crops_are_as_described(crops, name):
    chosen = preset(name)
    batch = replace(chosen, optimisation=replace(chosen.optimisation, batch_size=6)).task([crops]).source.batch(0)
    own = {name: value for name, value in batch.items() if not name.startswith(SKELETON)}
    beside = {name.removeprefix(SKELETON): value for name, value in batch.items() if name.startswith(SKELETON)}
    assert faults(own, CropBatch, sizes_of(chosen)) == []
    assert faults(to_tensors(own, "cpu"), CropBatch, sizes_of(chosen)) == []
    assert not beside or (faults(beside, SkeletonBatch, {}) == [] and beside.keys() == arrays_of(SkeletonBatch).keys())
    described = {"object_kind", "kind_match", "object_extents"} if chosen.data.describes_objects else set()
    twins = {"image_deoccluded", "has_twin"} if getattr(chosen, "twins", None) is not None else set()
    parts = {"part_seen", "part_shown", "has_parts"} if chosen.data.tells_parts else set()
    optional = {"object_kind", "kind_match", "object_extents", "image_deoccluded", "has_twin"}
    optional |= {"part_seen", "part_shown", "has_parts"}
    assert own.keys() == arrays_of(CropBatch).keys() - optional | described | twins | parts


def test_crops_of_the_device_are_the_same_arrays(crops):
    chosen = preset("debug-unihope")
    memory = chosen.load([crops], "cpu", 8)
    made = memory.finished(chosen.task([crops], memory).source.batch(0))
    assert faults(made, CropBatch, sizes_of(chosen)) == []
    assert made.keys() == chosen.task([crops]).source.batch(0).keys()


def test_frames_are_as_described(frames):
    chosen = preset("debug-detector")
    sizes = {"S": chosen.data.size_px, "G": chosen.data.size_px // chosen.data.stride_px}
    memory = chosen.load([frames], "cpu")
    made = memory.finished(chosen.task([frames], memory).source.batch(0))
    for batch in (chosen.task([frames]).source.batch(0), made):
        assert faults(batch, DetectorBatch, sizes) == [] and batch.keys() == arrays_of(DetectorBatch).keys()


def test_faults_are_named():
    wrong = {"presence": torch.tensor([0.0, 2.0]), "joints": torch.zeros(2, 20, 3), "bones": torch.zeros(3)}
    told = "\n".join(faults(wrong, CropBatch, {}))
    for word in ("'bones' is not described", "[2, 3] samples", "'joints' is (20, 3)", "'presence' holds other"):
        assert word in told


def test_windows_are_as_described(films):
    chosen = preset("debug-h2onet")
    batch = chosen.task([films]).source.batch(0)
    assert faults(batch, WindowBatch, {"S": chosen.data.size_px}) == []
    assert faults(to_tensors(batch, "cpu"), WindowBatch, {"S": chosen.data.size_px}) == []
    assert batch.keys() > {"known", "turn", "part_seen", "rotations"}
