from dataclasses import replace

import numpy as np
import pytest

from prehend.hand_model import skin as posed
from prehend_training.scenes.people import hand_atlas
from prehend_training.scenes.people.body import (
    CLOTH_PART,
    FOREARM_PART,
    PARTS,
    RING_JOINTS,
    Arm,
    bend_wrist,
    dressed_hand,
    hand_face_count,
)
from prehend_training.scenes.people.clothing import (
    Outfit,
    sample_bracelet,
    sample_glove,
    sample_outfit,
    sample_ring,
    sample_sleeve,
    sample_watch,
)
from prehend_training.scenes.people.gestures import sample_bare
from prehend_training.scenes.people.hand_atlas import ATLAS_LAYER, ATLAS_TILES, FIRST_GLOVE
from prehend_training.scenes.people.limb import drawn_hand, hand_normals, on_finger, on_forearm, smoothing
from prehend_training.scenes.render.raster import Geometry

ENTITY = 3
ARM = Arm(np.array([0.25, 0.1, 0.3]), np.array([0.1, 0.5, 0.2]))


def a_hand(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    model = posed(drawn_hand(), sample_bare(rng)[1], rng.standard_normal(10))
    return bend_wrist(model.vertices - model.joints[0], ARM)


@pytest.fixture(scope="module")
def hands() -> list[np.ndarray]:
    return [a_hand(seed) for seed in range(3)]


def outfits(count: int) -> list[Outfit]:
    rng = np.random.default_rng(4)
    return [sample_outfit(rng) for _ in range(count)]


def plain(seed: int = 0) -> Outfit:
    return Outfit(sample_outfit(np.random.default_rng(seed)).skin)


def part_of(geometry: Geometry, part: int) -> np.ndarray:
    """(N, 3) places of the vertices of one part."""
    return geometry.vertices["position"][geometry.vertices["code"] == ENTITY * PARTS + part].astype(np.float64)


def fields(outfit: Outfit) -> str:
    with np.printoptions(precision=17):
        return repr(outfit)


def test_the_same_generator_gives_the_same_outfit():
    assert fields(sample_outfit(np.random.default_rng(8))) == fields(sample_outfit(np.random.default_rng(8)))
    assert fields(sample_outfit(np.random.default_rng(8))) != fields(sample_outfit(np.random.default_rng(9)))


def test_people_wear_things_as_often_as_people_do():
    people = outfits(1500)
    shares = {
        name: np.mean([bool(getattr(outfit, name)) for outfit in people])
        for name in ("sleeve", "glove", "rings", "watch", "bracelet")
    }
    assert 0.4 < shares["sleeve"] < 0.5
    assert 0.05 < shares["glove"] < 0.11
    assert 0.16 < shares["rings"] < 0.25
    assert 0.09 < shares["watch"] < 0.15
    assert shares["bracelet"] > 0.02
    assert not any(outfit.glove and (outfit.rings or outfit.watch or outfit.bracelet) for outfit in people)


def test_the_other_hand_has_the_same_clothes_and_no_jewellery():
    for outfit in outfits(40):
        other = outfit.other_hand()
        assert (other.skin, other.sleeve, other.glove) == (outfit.skin, outfit.sleeve, outfit.glove)
        assert not other.rings and other.watch is None and other.bracelet is None


def test_geometry_is_sound_whatever_is_worn(hands):
    for k, outfit in enumerate(outfits(60)):
        geometry = dressed_hand(hands[k % len(hands)], outfit, ARM, ENTITY)
        vertices = geometry.vertices
        assert geometry.faces.min() == 0 and geometry.faces.max() < len(vertices)
        assert all(np.isfinite(vertices[name]).all() for name in ("position", "normal", "uvw", "colour", "material"))
        used = np.unique(geometry.faces)
        assert np.allclose(np.linalg.norm(vertices["normal"][used], axis=1), 1, atol=1e-3)
        assert (vertices["colour"] >= 0).all() and (vertices["material"] >= 0).all()
        assert set(np.unique(vertices["code"] // PARTS)) == {ENTITY}


def test_vertices_use_the_tiles_that_are_named(hands):
    for outfit in outfits(60):
        geometry = dressed_hand(hands[0], outfit, ARM, ENTITY)
        uvw = geometry.vertices["uvw"]
        assert set(np.unique(uvw[:, 2])) <= {-1.0, ATLAS_LAYER}
        cells = np.floor(uvw[uvw[:, 2] == ATLAS_LAYER][:, :2] * ATLAS_TILES).astype(int)
        assert set(np.unique(cells[:, 0] + ATLAS_TILES * cells[:, 1])) == set(geometry.tiles)
        assert all(0 <= tile <= hand_atlas.DIALS for tile in geometry.tiles)


def test_the_first_faces_are_the_hand_in_every_outfit(hands):
    model = drawn_hand()
    first = [dressed_hand(hands[0], outfit, ARM, ENTITY).faces[: hand_face_count()] for outfit in outfits(30)]
    assert all((faces == first[0]).all() for faces in first)
    geometry = dressed_hand(hands[0], plain(), ARM, ENTITY)
    parts = geometry.vertices["code"][first[0]] - ENTITY * PARTS
    assert parts.max() < FOREARM_PART
    places = geometry.vertices["position"][first[0]]
    expected = hands[0][model.faces[model.hand_mask[model.faces].all(1)]]
    assert np.array_equal(places, expected.astype(np.float32))


def test_a_bare_hand_lies_where_the_model_puts_it(hands):
    geometry = dressed_hand(hands[1], plain(), ARM, ENTITY)
    drawn = geometry.vertices["position"].astype(np.float64)
    nearest = np.linalg.norm(hands[1][::7, None] - drawn, axis=2).min(1)
    assert nearest.max() < 1e-6


@pytest.mark.parametrize("kind", ["work", "thin"])
def test_a_glove_hides_skin_and_nails_and_lies_over_them(hands, kind):
    rng = np.random.default_rng(1)
    glove = sample_glove(rng)
    while glove.kind != kind:
        glove = sample_glove(rng)
    vertices, outfit = hands[0], replace(plain(), glove=glove)
    geometry, bare = (dressed_hand(vertices, worn, ARM, ENTITY) for worn in (outfit, plain()))
    faces = geometry.faces[: hand_face_count()]
    used = np.unique(faces)
    tile = np.floor(geometry.vertices["uvw"][used, :2] * ATLAS_TILES) @ [1, ATLAS_TILES]
    assert set(tile) == {FIRST_GLOVE + glove.painting}
    out = geometry.vertices["position"][used].astype(np.float64) - bare.vertices["position"][used]
    height = (out * bare.vertices["normal"][used]).sum(1)
    assert np.quantile(height, 0.02) > 0
    assert np.median(height) > 0.8 * glove.thickness_m
    # its cuff stands off the forearm
    rings = on_forearm().of(vertices)
    assert above_rings(part_of(geometry, CLOTH_PART), rings).max() > glove.thickness_m


def above_rings(points: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """(N,) how far points lie outside of the forearm's rings, between neighbours on the nearest one."""
    centres = rings.mean(1)
    axis = np.gradient(centres, axis=0)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    ring = np.abs(((points[:, None] - centres) * axis).sum(-1)).argmin(1)
    off = points - centres[ring]
    ways = rings[ring] - centres[ring][:, None]
    radii = np.linalg.norm(ways, axis=2)
    nearest = np.einsum("nd,nad->na", off, ways / radii[..., None]).argmax(1)
    return np.linalg.norm(off, axis=1) - radii[np.arange(len(points)), nearest]


def test_sleeves_lie_outside_of_the_arm(hands):
    rng = np.random.default_rng(2)
    for k in range(12):
        sleeve = sample_sleeve(rng)
        vertices = hands[k % len(hands)]
        geometry = dressed_hand(vertices, replace(plain(), sleeve=sleeve), ARM, ENTITY)
        cloth = part_of(geometry, CLOTH_PART)
        rings = on_forearm().of(vertices)
        centres = rings.mean(1)
        on_arm = np.linalg.norm(cloth[:, None] - centres, axis=2).min(1) < 0.06
        height = above_rings(cloth[on_arm], rings)
        assert np.quantile(height, 0.02) > -0.001
        assert np.median(height) > 0.8 * sleeve.thickness_m


def test_a_sleeve_hides_the_skin_that_nobody_sees(hands):
    sleeve = replace(sample_sleeve(np.random.default_rng(3)), start_m=0.05)
    dressed, bare = (dressed_hand(hands[0], worn, ARM, ENTITY) for worn in (replace(plain(), sleeve=sleeve), plain()))
    hidden = np.unique(dressed.faces)
    skin = dressed.vertices["code"][hidden] == ENTITY * PARTS + FOREARM_PART
    far = np.linalg.norm(dressed.vertices["position"][hidden][skin], axis=1).max()
    all_skin = bare.vertices["code"] == ENTITY * PARTS + FOREARM_PART
    assert far < 0.13 < np.linalg.norm(bare.vertices["position"][all_skin], axis=1).max()


def test_rings_go_round_their_fingers(hands):
    rng = np.random.default_rng(5)
    for digit, joint in RING_JOINTS.items():
        ring = sample_ring(rng, digit)
        geometry = dressed_hand(hands[2], replace(plain(), rings=(ring,)), ARM, ENTITY)
        bare = len(dressed_hand(hands[2], plain(), ARM, ENTITY).vertices)
        metal = geometry.vertices[bare:]
        assert set(metal["code"]) == {ENTITY * PARTS + joint}
        bone = on_finger(digit).of(hands[2]).mean(1)
        near = np.linalg.norm(metal["position"][:, None] - bone, axis=2).min(1)
        assert near.min() > 0.004 and near.max() < 0.02


def test_watch_and_bracelet_go_round_the_wrist(hands):
    rng = np.random.default_rng(6)
    for worn in ({"watch": sample_watch(rng)}, {"bracelet": sample_bracelet(rng)}):
        geometry = dressed_hand(hands[0], replace(plain(), **worn), ARM, ENTITY)
        band = part_of(geometry, CLOTH_PART)
        rings = on_forearm().of(hands[0])
        centre = rings[np.linalg.norm(rings.mean(1) - band.mean(0), axis=1).argmin()].mean(0)
        directions = (band - centre) / np.linalg.norm(band - centre, axis=1, keepdims=True)
        assert np.linalg.norm(np.linalg.svd(directions, full_matrices=False)[1][:2]) > 0.8 * np.sqrt(len(band))
        assert np.linalg.norm(directions.mean(0)) < 0.75
        assert np.quantile(above_rings(band, rings), 0.5) > 0


def test_normals_point_out_and_smoothing_keeps_constants(hands):
    normals = hand_normals(hands[0])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    outwards = ((hands[0] - smoothing(6) @ hands[0]) * normals).sum(1)
    assert (outwards > 0).mean() > 0.6
    assert np.allclose(smoothing(6) @ np.ones(len(normals)), 1)
