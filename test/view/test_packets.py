import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.geometry.control_points import control_points
from prehend.object_catalogue import load_objects
from prehend.view.packets import UNIT_M, UNIT_PX, constants, frame_packet, jpeg_of, row_packet
from prehend.view.seen import BOX_EDGES, HeldBoxes

NO_BOXES = HeldBoxes({})


def steps(text, columns, unit):
    return np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, columns) * unit


def test_meshes_arrive_where_they_were(make_seen, result):
    packet = json.loads(frame_packet(make_seen(), NO_BOXES))
    assert (packet["width"], packet["height"], packet["n"], packet["index"]) == (64, 48, 1, 0)
    for sent, hand in zip(packet["hands"], result.hands, strict=True):
        assert (sent["side"], sent["id"], sent["state"]) == (hand.side, hand.track_id, hand.grasp.state)
        body = np.array(sent["joints"][0]) + steps(sent["mesh"], 3, UNIT_M)
        pixels = np.array(sent["keypoints"][0]) + steps(sent["mesh_px"], 2, UNIT_PX)
        assert np.abs(body - hand.vertices_m).max() < 2e-4
        assert np.abs(pixels - project(hand.vertices_m, result.camera)).max() < 0.2
        assert np.allclose(sent["keypoints"], hand.keypoints_px, atol=0.06)


def test_what_is_no_number_is_null(make_seen, result):
    blind = replace(
        result.hands[0], vertices_m=np.full((778, 3), np.nan), joints_m=np.full((21, 3), np.nan), held_object=None
    )
    seen = make_seen(result=replace(result, hands=(blind,)))
    sent = json.loads(frame_packet(seen, NO_BOXES))["hands"][0]
    assert sent["joints"][3] == [None] * 3 and sent["std"] is None and sent["held"] is None
    assert len(steps(sent["mesh"], 3, UNIT_M)) == 778
    assert json.loads(row_packet(seen)) == [pytest.approx(1 / 30, abs=1e-3), 4.75, [[1, 0, 0.75, "grasping"]]]


def test_boxes_of_held_objects_lie_where_their_catalogue_says(result):
    held = result.hands[1].held_object
    assert NO_BOXES.corners_m(held) is None  # no size is known
    sized = replace(held, extents_m=np.array([0.08, 0.1, 0.06]))
    corners = NO_BOXES.corners_m(sized)
    assert np.allclose(corners, control_points((0.08, 0.1, 0.06))[:8] + sized.T_camera_object[:3, 3])
    mug = load_objects()["mug"]
    shifted = HeldBoxes({"mug": mug}).corners_m(replace(sized, object_id="mug"))
    assert np.allclose(shifted.mean(0), mug.center_m + sized.T_camera_object[:3, 3])
    lengths = np.linalg.norm([corners[a] - corners[b] for a, b in BOX_EDGES], axis=1)
    assert sorted(lengths.round(6)) == sorted([0.08] * 4 + [0.1] * 4 + [0.06] * 4)
    assert HeldBoxes({}).corners_m(replace(sized, T_camera_object=None)) is None


def test_pictures_are_jpegs_in_their_colours_and_not_larger_than_the_page_needs():
    image = np.zeros((900, 1200, 3), np.uint8)
    image[..., 0] = 200
    sent = cv2.imdecode(np.frombuffer(jpeg_of(image), np.uint8), cv2.IMREAD_COLOR)
    assert sent.shape == (720, 960, 3) and np.allclose(sent[300, 300], [0, 0, 200], atol=4)
    assert cv2.imdecode(np.frombuffer(jpeg_of(image[:48, :64]), np.uint8), 1).shape == (48, 64, 3)


def test_the_page_gets_the_faces_of_both_hands(faces):
    told = constants(faces)
    for side in ("left", "right"):
        sent = np.frombuffer(base64.b64decode(told["faces"][side]), "<u2").reshape(-1, 3)
        assert np.array_equal(sent, faces[side])
