"""From noise to pictures by networks whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from prehend.errors import AssetError, InvalidInput
from prehend_training.boost.generator.conditions import Condition
from prehend_training.boost.generator.preset import BOOSTERS
from prehend_training.boost.generator.task import maps_of, signed
from prehend_training.boost.sampling import Painter, SampleConfig

CONFIG = BOOSTERS["debug-handbooster"].config
SIZE = CONFIG.size_px


class Answers(nn.Module):
    """A network that answers `answer(noisy, maps, times, orientation, told)`, and notes what it was asked."""

    def __init__(self, answer):
        super().__init__()
        self.config, self.answer, self.asked = CONFIG, answer, []
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, noisy, maps, times, orientation, told):
        self.asked.append((times, told, noisy))
        return self.answer(noisy, maps, times, orientation, told)


def texture_alone(noisy, maps, times, orientation, told):
    """The right answer where the picture is the condition's texture."""
    return maps[:, :3]


def condition(seed, mirrored=False):
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    nothing = np.zeros((SIZE, SIZE), bool)
    orientation = rng.normal(size=4).astype(np.float32)
    normals = rng.integers(-127, 128, (SIZE, SIZE, 3)).astype(np.int8)
    return Condition(
        texture, normals, ~nothing, orientation / np.linalg.norm(orientation), mirrored, nothing.astype(np.uint8)
    )


def painter(tmp_path, answer, **numbers):
    return Painter(Answers(answer), SampleConfig(tmp_path, tmp_path, **({"steps": 5} | numbers)))


@pytest.mark.parametrize("steps", [1, 4, 25])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_who_knows_the_picture_paints_it_whatever_the_noise(tmp_path, steps, eta):
    given = [condition(k, mirrored=k == 1) for k in range(3)]
    made = painter(tmp_path, texture_alone, steps=steps, eta=eta).paint(given, ["a", "b", "c"])
    for one, picture in zip(given, made, strict=True):
        wanted = one.texture[:, ::-1] if one.mirrored else one.texture
        assert picture.dtype == np.uint8 and np.abs(picture.astype(int) - wanted).max() <= 1


def test_the_network_is_asked_from_the_noisiest_level_down_as_often_as_steps_say(tmp_path):
    one = painter(tmp_path, texture_alone, steps=8, guidance=1.0)
    one.paint([condition(0)], ["a"])
    times = [int(times[0]) for times, _, _ in one.network.asked]
    assert len(times) == 8 and times == sorted(times, reverse=True) and times[0] == CONFIG.steps - 1
    assert np.ptp(np.diff(times)) <= 1


def by_told(told_value, untold_value):
    def answer(noisy, maps, times, orientation, told):
        value = torch.where(told, told_value, untold_value)[:, None, None, None]
        return value.expand_as(noisy).float()

    return answer


@pytest.mark.parametrize(("guidance", "value"), [(1.0, 0.2), (0.0, 0.1), (3.0, 0.4), (5.0, 0.6)])
def test_guidance_goes_from_the_untold_answer_through_the_told_one(tmp_path, guidance, value):
    """Told 0.2, untold 0.1: 0.1 + w 0.1."""
    (picture,) = painter(tmp_path, by_told(0.2, 0.1), guidance=guidance).paint([condition(0)], ["a"])
    assert np.abs(picture.astype(float) - (value + 1) * 127.5).max() <= 1


def test_without_guidance_the_network_is_asked_once_and_told(tmp_path):
    once, twice = (painter(tmp_path, texture_alone, guidance=guidance) for guidance in (1.0, 2.0))
    for one in (once, twice):
        one.paint([condition(0), condition(1)], ["a", "b"])
    assert all(told.all() and len(told) == 2 for _, told, _ in once.network.asked)
    assert all(told.tolist() == [True, True, False, False] for _, told, _ in twice.network.asked)
    assert len(once.network.asked) == len(twice.network.asked) == 5


def noisy_answer(noisy, maps, times, orientation, told):
    """An answer by which the noise is seen."""
    return (0.3 * noisy + 0.1 * maps[:, 3:]).clamp(-1, 1)


def test_noise_follows_from_the_seed_and_the_name_alone(tmp_path):
    given = [condition(k) for k in range(3)]
    names = ["0/0", "1/0", "2/0"]
    for eta in (0.0, 1.0):
        whole = painter(tmp_path, noisy_answer, eta=eta, batch=8).paint(given, names)
        back = painter(tmp_path, noisy_answer, eta=eta, batch=2).paint(given[::-1], names[::-1])[::-1]
        for one, other in zip(whole, back, strict=True):
            assert np.abs(one.astype(int) - other).max() <= 1
        other_name = painter(tmp_path, noisy_answer, eta=eta).paint(given[:1], ["0/1"])[0]
        other_seed = painter(tmp_path, noisy_answer, eta=eta, seed=1).paint(given[:1], names[:1])[0]
        assert not np.array_equal(whole[0], other_name) and not np.array_equal(whole[0], other_seed)


def test_the_first_noise_is_normal_and_every_picture_has_its_own(tmp_path):
    one = painter(tmp_path, texture_alone, guidance=1.0)
    one.paint([condition(0)] * 4, ["a", "b", "c", "a"])
    noise = one.network.asked[0][2]
    assert noise.mean().abs() < 0.03 and noise.std() == pytest.approx(1, abs=0.03)
    assert torch.equal(noise[0], noise[3]) and not torch.equal(noise[0], noise[1])


def test_a_generator_that_has_gone_wrong_is_named(tmp_path):
    broken = painter(tmp_path, lambda noisy, *rest: noisy * float("nan"))
    with pytest.raises(AssetError, match="its run has gone wrong"):
        broken.paint([condition(0)], ["a"])


def test_an_error_that_is_not_of_memory_is_not_hidden(tmp_path):
    def fails(*given):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        painter(tmp_path, fails).paint([condition(0)], ["a"])


def test_nothing_is_painted_for_no_conditions(tmp_path):
    assert painter(tmp_path, texture_alone).paint([], []) == []


@pytest.mark.parametrize(
    "numbers",
    [{"steps": 0}, {"steps": 1001}, {"guidance": -1.0}, {"guidance": float("nan")}, {"eta": 1.1}, {"variants": 0},
     {"batch": 0}, {"limit": 0}],
)  # fmt: skip
def test_numbers_out_of_range_are_named(tmp_path, numbers):
    (name,) = numbers
    with pytest.raises(InvalidInput, match=name):
        SampleConfig(tmp_path, tmp_path, **numbers)


def test_maps_are_within_one_and_black_is_the_least():
    texture = torch.tensor([[[[0, 255, 127]]]], dtype=torch.uint8)
    normals = torch.tensor([[[[-127, 0, 127]]]], dtype=torch.int8)
    maps = maps_of(texture, normals)
    assert maps.shape == (1, 6, 1, 1)
    torch.testing.assert_close(maps[0, :, 0, 0], torch.tensor([-1.0, 1.0, 127 / 127.5 - 1, -1.0, 0.0, 1.0]))
    assert signed(texture).min() == -1


def test_what_is_told_of_a_folder_leaves_out_what_changes_no_picture(tmp_path, monkeypatch):
    from prehend_training.boost import sampling

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(sampling, "weights_sha256", lambda run: "abc")
    first, other = (SampleConfig(tmp_path, tmp_path, batch=b, limit=n).describe() for b, n in ((16, None), (2, 3)))
    assert first == other and first != SampleConfig(tmp_path, tmp_path, steps=7).describe()
    (tmp_path / "config.json").write_text('{"seed": 1}')
    assert SampleConfig(tmp_path, tmp_path).describe()["conditions"] != first["conditions"]
    assert isinstance(SimpleNamespace(**first).guidance, float)
