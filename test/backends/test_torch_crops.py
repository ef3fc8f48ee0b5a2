"""Crops that torch cuts on a device against those that OpenCV cuts; here the device is the processor."""

from dataclasses import dataclass

import cv2
import gpu_crops
import numpy as np
import pytest
import torch
from gpu_crops import crops_table, hands_in_a_frame, joints_of, measure_crops
from numpy.typing import NDArray

from prehend.backends import open_backend
from prehend.backends.base import DeviceImage, cutting
from prehend.backends.fallback import FallbackBackend
from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.settings import BackendSettings
from prehend.backends.torch_ import TorchBackend
from prehend.backends.torch_crops import Cutter
from prehend.errors import DeviceError, InvalidInput, UnknownName
from prehend.export.parity import TOLERANCE_MM
from prehend.pipeline.crops.crop import CROP_SCALE, CropSpec, cut
from prehend.pipeline.crops.uncut import CropSource, UncutCrop
from prehend.pipeline.networks.network import HandNetwork
from prehend.types import Region
from prehend.weights import Bundle, load_bundle

SIZE = (1280, 720)
LEVELS = 2 if int(cv2.__version__.split(".")[0]) >= 5 else 8
"""Grey levels that two crops may be apart: OpenCV 4 warps on a raster of 1/32 px."""


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    """Soft colours with sharp lines."""
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (90, 160, 3), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    for _ in range(80):
        ends = rng.integers(0, SIZE, (2, 2)).tolist()
        cv2.line(picture, *ends, rng.integers(0, 256, 3).tolist(), int(rng.integers(1, 9)), cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def spec_of(place: tuple[float, float], side: float, turn: float = 0.0, of: str = "right", size: int = 128) -> CropSpec:
    return CropSpec.from_region(Region(place, side, 0.7 * side, turn), of, SIZE, size=size)


SPECS = {
    "upright": spec_of((640, 360), 100),
    "enlarged": spec_of((400, 300), 31, 0.3),
    "as large as it is": spec_of((700, 300), 128 / CROP_SCALE),
    "halved": spec_of((600, 350), 161, 0.0, "left"),
    "shrunk by a lot": spec_of((600, 360), 700, 0.7),
    "turned": spec_of((500, 400), 200, -2.0),
    "a left hand": spec_of((500, 400), 260, 0.4, "left"),
    "over the left border": spec_of((5, 300), 80, 0.4, "left"),
    "over the corner": spec_of((1250, 700), 300, 2.0),
    "larger than the image": spec_of((640, 360), 1500, 1.0),
    "far larger than the image": spec_of((640, 360), 1e5),
    "of unihope-s": spec_of((640, 300), 180, 0.2, "left", 224),
    "beside the image": CropSpec(np.array([[1.0, 0, 900], [0, 1, 0]]), 128, False, np.zeros(2), *[np.zeros(4)] * 2),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_crop_is_that_of_the_processor(image: NDArray[np.uint8], spec: CropSpec) -> None:
    (found,) = Cutter("cpu").cut([UncutCrop(spec, DeviceImage(image))]).numpy()
    apart = 255 * np.abs(found - cut(image, spec).image)
    assert apart.mean() <= 0.3 and apart.max() <= LEVELS + 0.01
    assert found.dtype == np.float32 and found.shape == (3, spec.size, spec.size)


def test_a_batch_is_what_its_crops_are_alone(image: NDArray[np.uint8]) -> None:
    frames = [DeviceImage(image), DeviceImage(255 - image)]
    specs = [spec for spec in SPECS.values() if spec.size == 128]
    crops = [UncutCrop(spec, frames[k % 2]) for k, spec in enumerate(specs)]
    together = Cutter("cpu").cut(crops)
    assert together.is_contiguous()
    for crop, found in zip(crops, together, strict=True):
        assert torch.equal(found, Cutter("cpu").cut([crop])[0])


def test_a_frame_is_uploaded_once(image: NDArray[np.uint8]) -> None:
    frame, cutter = DeviceImage(image.copy()), Cutter("cpu")
    before = cutter.cut([UncutCrop(SPECS["turned"], frame)])
    frame.pixels[:] = 0  # a camera's next image
    crops = [UncutCrop(SPECS[name], frame) for name in ("turned", "upright")]
    assert torch.equal(cutter.cut(crops)[:1], before)
    assert not cutter.cut([UncutCrop(SPECS["turned"], DeviceImage(frame.pixels))]).any()


def test_pixels_may_be_read_only_or_turned_round(image: NDArray[np.uint8], recwarn: pytest.WarningsRecorder) -> None:
    still = image[::-1, ::-1]
    still.flags.writeable = False
    crops = [UncutCrop(SPECS["turned"], DeviceImage(pixels)) for pixels in (still, still.copy())]
    one, other = Cutter("cpu").cut(crops)
    assert torch.equal(one, other) and not recwarn.list


def test_the_other_side_is_the_mirror_image(image: NDArray[np.uint8]) -> None:
    crop = UncutCrop(SPECS["turned"], DeviceImage(image))
    one, other = Cutter("cpu").cut([crop, crop.for_other_side()])
    assert 255 * float((one.flip(-1) - other).abs().max()) <= 1.01


@pytest.fixture(scope="module")
def shipped() -> HandNetwork:
    """The weights of the package, whose backend cuts."""
    return HandNetwork(TorchBackend(load_bundle("unihope-s"), cuts=True))


def test_joints_are_the_same_either_way(shipped: HandNetwork) -> None:
    frame, specs = hands_in_a_frame(shipped.crop_size)
    pictures = [shipped.picture(frame), CropSource(frame)]
    assert [picture.cut(specs[0]).uncut is None for picture in pictures] == [False, True]
    device, processor = (joints_of(shipped, picture, specs) for picture in pictures)
    apart = np.linalg.norm(device - processor, axis=-1) * 1e3
    print(f"{apart.max():.4f} mm, mean {apart.mean():.4f} mm")  # shown by pytest -rP
    assert apart.shape == (8, 21) and apart.max() <= TOLERANCE_MM


def test_the_table_tells_what_was_measured_and_what_is_missing(shipped: HandNetwork, monkeypatch) -> None:
    monkeypatch.setattr(gpu_crops, "_LONGEST_S", 0.0)
    monkeypatch.setattr(gpu_crops, "HANDS", (1, 2))
    told = measure_crops(shipped._backend, "cpu")
    assert told["levels"] <= LEVELS + 0.01 and told["joints_mm"] <= TOLERANCE_MM
    assert measure_crops(open_backend("onnx", shipped._backend.bundle, threads=1), "cpu").keys() == {"missing"}
    lines = crops_table({"a": {"crops": told}, "b": {"missing": "no GPU"}, "c": {"failed": "a crash"}}).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| b | missing: no GPU |") and lines[4].startswith("| c | failed: a crash |")
    assert all(ms["device"] > 0 for row in told["ms"].values() for ms in row.values())


@dataclass
class Full:
    """A device whose memory is full from the second call on."""

    inner: TorchBackend
    calls: int = 0
    cuts: bool = True

    def __getattr__(self, name: str):
        return getattr(self.inner, name)

    def infer_crops(self, stage, crops):
        self.calls += 1
        if self.calls > 1:
            raise DeviceError("memory is full")
        return self.inner.infer_crops(stage, crops)


def test_crops_of_a_device_that_fails_are_cut_on_the_processor(small_bundle: Bundle, image: NDArray[np.uint8]) -> None:
    size = int(small_bundle.manifest["input"]["size"])
    backend = FallbackBackend(Full(TorchBackend(small_bundle)), lambda: open_backend("onnx", small_bundle, threads=1))
    crops = [UncutCrop(spec_of((640, 360), 150, size=size), DeviceImage(image))]
    assert backend.cuts
    expected = backend.infer_crops("encode", crops)
    for _ in range(2):
        for name, array in backend.infer_crops("encode", crops).items():
            np.testing.assert_allclose(array, expected[name], atol=1e-2)
    assert not backend.cuts and cutting(backend) is None and "memory is full" in backend.notes[0]
    with pytest.raises(DeviceError, match="memory is full"):
        FallbackBackend._go_over(backend, DeviceError("memory is full"))


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_takes_crops_where_they_lie(small_bundle: Bundle, image: NDArray[np.uint8], threads: int) -> None:
    """Bound by address, as on a GPU; here the address is one of the processor's."""
    size = int(small_bundle.manifest["input"]["size"])
    crops = [UncutCrop(spec_of((500, 400), 150 + k, 0.1 * k, size=size), DeviceImage(image)) for k in range(3)]
    cutter = Cutter("cpu")
    backend = OnnxBackend(small_bundle, BackendSettings(threads=threads), cutter)
    assert cutting(backend) is backend
    expected = backend.infer("encode", {"image": cutter.cut(crops).numpy()})
    for _ in range(2):
        found = backend.infer_crops("encode", crops)
        assert list(found) == list(expected)
        for name, array in found.items():
            assert array.dtype == np.float32 and np.array_equal(array, expected[name]), name
    first = {name: array.copy() for name, array in found.items()}
    backend.infer_crops("encode", crops[::-1])
    assert all(np.array_equal(array, first[name]) for name, array in found.items()), "answers stay valid"
    with pytest.raises(InvalidInput, match="not crops alone"):
        backend.infer_crops("hand", crops)


def test_crops_that_a_stage_does_not_take_are_named(small_bundle: Bundle, image: NDArray[np.uint8]) -> None:
    backend = TorchBackend(small_bundle, cuts=True)
    crops = [UncutCrop(spec_of((640, 360), 150, size=96), DeviceImage(image))]
    with pytest.raises(InvalidInput, match=r"sides \[96\], expected some of \d+ px"):
        backend.infer_crops("encode", crops)
    with pytest.raises(InvalidInput, match=r"sides \[\]"):
        backend.infer_crops("encode", [])
    with pytest.raises(InvalidInput, match="not crops alone"):
        backend.infer_crops("hand", crops)
    with pytest.raises(UnknownName, match="encode"):
        backend.infer_crops("find", crops)


def test_only_a_gpu_cuts_unless_it_is_told(small_bundle: Bundle, image: NDArray[np.uint8]) -> None:
    assert cutting(TorchBackend(small_bundle)) is None
    assert cutting(open_backend("onnx", small_bundle, threads=1)) is None
    assert CropSource(image).cut(SPECS["turned"]).uncut is None
