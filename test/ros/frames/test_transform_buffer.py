"""Transforms: chains, both ways, between stamps; what is not known is told and never guessed."""

import threading

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.ros.frames.buffer import TransformBuffer, TransformError


def matrix(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(rng.normal(size=3)), rng.normal(size=3)
    return T


def test_a_chain_is_walked_both_ways_and_through_a_common_ancestor(tf_bytes) -> None:
    buffer = TransformBuffer()
    A, B, C = matrix(1), matrix(2), matrix(3)
    buffer.add(tf_bytes(("world", "base", 0.0, A), ("world", "/mast", 0.0, B)), fixed=True)
    buffer.add(tf_bytes(("mast", "camera", 5.0, C)))
    np.testing.assert_allclose(buffer.transform("world", "camera", 5.0), B @ C, atol=1e-9)
    np.testing.assert_allclose(buffer.transform("camera", "world", 5.0), np.linalg.inv(B @ C), atol=1e-9)
    np.testing.assert_allclose(buffer.transform("base", "camera", 5.0), np.linalg.inv(A) @ B @ C, atol=1e-9)
    np.testing.assert_allclose(buffer.transform("camera", "camera", 99.0), np.eye(4))


def test_between_two_stamps_it_moves_evenly_whatever_order_they_came_in(tf_bytes) -> None:
    buffer = TransformBuffer()
    ends = []
    for angle, x in ((0.0, 1.0), (0.4, 3.0)):
        T = np.eye(4)
        T[:3, :3], T[0, 3] = matrix_from_axis_angle(np.array([0, 0, angle])), x
        ends.append(T)
    buffer.add(tf_bytes(("base", "camera", 11.0, ends[1])))
    buffer.add(tf_bytes(("base", "camera", 10.0, ends[0])))
    for share in (0.0, 0.25, 0.5, 1.0):
        T = buffer.transform("base", "camera", 10.0 + share)
        assert T[0, 3] == pytest.approx(1 + 2 * share)
        np.testing.assert_allclose(T[:3, :3], matrix_from_axis_angle(np.array([0, 0, 0.4 * share])), atol=2e-3)


def test_before_the_first_and_after_the_last_there_is_none(tf_bytes) -> None:
    buffer = TransformBuffer()
    buffer.add(tf_bytes(("base", "camera", 10.0, np.eye(4)), ("base", "camera", 11.0, np.eye(4))))
    with pytest.raises(TransformError, match=r"newest transform of 'camera' is 0\.500 s older than the image") as told:
        buffer.transform("base", "camera", 11.5)
    assert told.value.soon
    with pytest.raises(TransformError, match=r"oldest transform of 'camera' is 1\.000 s newer"):
        buffer.transform("base", "camera", 9.0)


def test_what_is_missing_is_named(tf_bytes) -> None:
    buffer = TransformBuffer()
    buffer.add(tf_bytes(("map", "base", 0.0, np.eye(4)), ("rig", "camera", 0.0, np.eye(4))), fixed=True)
    with pytest.raises(TransformError, match="from 'camera' to 'base': they belong to two trees"):
        buffer.transform("base", "camera", 1.0, wait_s=60.0)
    with pytest.raises(TransformError, match="nobody publishes 'table'"):
        buffer.transform("table", "camera", 1.0)
    buffer.add(tf_bytes(("a", "b", 0.0, np.eye(4)), ("b", "a", 0.0, np.eye(4))), fixed=True)
    with pytest.raises(TransformError, match="circle"):
        buffer.transform("map", "a", 1.0)


def test_one_that_is_on_its_way_is_waited_for(tf_bytes) -> None:
    buffer = TransformBuffer()
    buffer.add(tf_bytes(("base", "camera", 10.0, matrix(1))))
    timer = threading.Timer(0.02, buffer.add, [tf_bytes(("base", "camera", 10.1, matrix(1)))])
    timer.start()
    np.testing.assert_allclose(buffer.transform("base", "camera", 10.05, wait_s=10.0), matrix(1), atol=1e-9)
    timer.join()


def test_what_is_no_transform_is_left_out_and_old_ones_are_forgotten(tf_bytes) -> None:
    buffer = TransformBuffer()
    wrong = matrix(1)
    wrong[0, 3] = np.nan
    buffer.add(tf_bytes(("base", "camera", 1.0, wrong), ("camera", "camera", 1.0, np.eye(4))))
    with pytest.raises(TransformError, match="nobody publishes"):
        buffer.transform("base", "camera", 1.0)
    for n in range(300):
        buffer.add(tf_bytes(("base", "camera", 0.1 * n, np.eye(4))))
    assert len(buffer._frames["camera"].poses) <= 102
    buffer.add(tf_bytes(("base", "camera", 1.0, matrix(2))))  # a bag plays again
    np.testing.assert_allclose(buffer.transform("base", "camera", 1.0), matrix(2), atol=1e-9)
