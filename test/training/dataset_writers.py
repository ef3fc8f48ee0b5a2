"""A few made-up frames in exactly the layout of each real dataset: names, types, units, axes, orders.

Hands are of a stand-in for MANO: our own hand with MANO's number of vertices, in MANO's file format.
"""

import json
import pickle
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import yaml

from prehend.conventions import MANO_PARENTS
from prehend.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.mano import TIPS_778
from prehend.types import Camera
from prehend_training.datasets.occlusion import depth_of_mesh

GL = np.diag([1.0, -1.0, -1.0])
BOX_M = np.array([0.06, 0.158, 0.21])
BOX_CENTER_M = np.array([-0.01, -0.015, 0.1])
_BOX_FACES = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6],
     [1, 3, 5], [3, 7, 5]]
)  # fmt: skip


def box_corners():
    """(8, 3) corners of the box in its frame, x fastest."""
    signs = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)])
    return BOX_CENTER_M + signs * BOX_M / 2


@lru_cache(maxsize=2)
def fake_mano(side="right"):
    """A hand of 778 vertices whose wrist is off the origin and whose fingertips are MANO's vertices."""
    if side == "left":
        return fake_mano("right").mirrored()
    ours = load_hand_model()
    kept = [int(tip) for tip in ours.tips]
    nearest = np.linalg.norm(ours.v_template[:, None] - ours.v_template[kept], axis=2).min(1)
    while len(kept) < 778:
        kept.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(ours.v_template - ours.v_template[kept[-1]], axis=1))
    others = iter(kept[5:])
    tips = dict(zip(TIPS_778, kept[:5], strict=True))
    rows = np.array([tips[row] if row in tips else next(others) for row in range(778)])
    template = ours.v_template[rows]
    cluster = np.linalg.norm(ours.v_template[:, None] - template, axis=2).argmin(1)
    faces = cluster[ours.faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    # weights of least norm that sum to one and give our joints
    system = np.vstack([template.T, np.ones(778)])
    wanted = np.vstack([ours.joints_template.T, np.ones(16)])
    return replace(
        ours,
        v_template=(template + np.array([0.09, 0.006, 0.007])).astype(np.float32),
        faces=faces.astype(np.int32),
        weights=ours.weights[rows],
        shapedirs=ours.shapedirs[rows],
        posedirs=ours.posedirs[rows],
        J_regressor=(np.linalg.pinv(system) @ wanted).T.astype(np.float32),
        tips=np.array(TIPS_778),
        hand_mask=None,
    )


def write_mano(folder, sides=("right", "left")):
    """MANO_RIGHT.pkl and MANO_LEFT.pkl of the stand-in."""
    folder.mkdir(parents=True, exist_ok=True)
    for side in sides:
        model = fake_mano(side)
        names = ("v_template", "weights", "shapedirs", "posedirs", "J_regressor", "hands_mean", "hands_components")
        content = {name: getattr(model, name).astype(np.float64) for name in names}
        parents = np.array([2**32 - 1, *MANO_PARENTS[1:]], np.int64)
        content |= {"f": model.faces.astype(np.uint32), "kintree_table": np.stack([parents, np.arange(16)])}
        (folder / f"MANO_{side.upper()}.pkl").write_bytes(pickle.dumps(content, 2))
    return folder


@dataclass(frozen=True)
class Pose:
    """A hand in the world: coefficients as the datasets store them."""

    side: str
    coefficients: np.ndarray
    betas: np.ndarray
    rotations: np.ndarray
    wrist_m: np.ndarray

    @property
    def posed(self):
        """Skinned so that its wrist is where it should be."""
        bare = skin(fake_mano(self.side), self.rotations, self.betas)
        return skin(fake_mano(self.side), self.rotations, self.betas, self.wrist_m - bare.joints[0])

    def seen(self, T):
        """The same hand in the frame of a (4, 4) T_camera_world."""
        rotations = self.rotations.copy()
        rotations[0] = T[:3, :3] @ rotations[0]
        return replace(self, rotations=rotations, wrist_m=T[:3, :3] @ self.wrist_m + T[:3, 3])

    @property
    def translation(self):
        """MANO's translation: added after a turn about the wrist of the rest pose."""
        return self.wrist_m - skin(fake_mano(self.side), self.rotations, self.betas).joints[0]


def draw_pose(rng, side="right", near=(0.0, 0.0, 0.0)):
    """Any pose of a hand whose middle is near a point of the world."""
    model = fake_mano(side)
    coefficients = rng.normal(0, 0.4, 45) * np.exp(-np.arange(45) / 10)
    fingers = coefficients @ model.hands_components + model.hands_mean
    rotations = matrix_from_axis_angle(np.concatenate([rng.normal(0, 1, 3), fingers]).reshape(16, 3))
    betas = rng.normal(0, 0.5, 10)
    joints = skin(model, rotations, betas).joints
    return Pose(side, coefficients, betas, rotations, np.asarray(near) + joints[0] - joints.mean(0))


def look_at_origin(angle, distance=0.8, height=0.35):
    """(4, 4) T_camera_world of a camera on a circle about the world's z axis."""
    place = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    z = -place / np.linalg.norm(place)
    x = np.cross(z, [0, 0, 1])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(z, x), z])
    T[:3, 3] = -T[:3, :3] @ place
    return T


def apply(T, points):
    return points @ T[:3, :3].T + T[:3, 3]


def pixels(points, K):
    flat = points @ K.T
    return flat[..., :2] / flat[..., 2:]


def shown(camera, hand, T_camera_box):
    """(H, W) 0 background, 1 box, 2 hand."""
    nearest = depth_of_mesh(hand.posed.vertices, fake_mano(hand.side).faces, camera)
    result = np.where(np.isfinite(nearest), 2, 0)
    if T_camera_box is not None:
        box = depth_of_mesh(apply(T_camera_box, box_corners()), _BOX_FACES, camera)
        result[box < nearest] = 1
    return result


def paint(codes):
    """(H, W, 3) BGR image of codes 0, 1, 2, with shading so that it is no flat cartoon."""
    colours = np.array([[90, 80, 70], [60, 110, 200], [130, 160, 220]])
    ramp = np.linspace(0.8, 1.2, codes.shape[1])[None, :, None]
    return np.clip(colours[codes] * ramp, 0, 255).astype(np.uint8)


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, default=lambda array: array.tolist()))


def write_box_model(folder):
    """A box as Wavefront .obj with quads, texture and normal indices, as scanned models have them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in box_corners()] + ["vt 0 0", "vn 0 0 1"]
    quads = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
    lines += ["f " + " ".join(f"{corner + 1}/1/1" for corner in quad) for quad in quads]
    (folder / "textured_simple.obj").write_text("\n".join(lines) + "\n")


SERIALS = (
    "836212060125", "839512060362", "840412060917", "841412060263",
    "932122060857", "932122060861", "932122061900", "932122062010",
)  # fmt: skip
_RIG = "20200702_151821"
DEXYCB_K = np.array([[615.0, 0, 318.5], [0, 614.0, 241.2], [0, 0, 1]])


def write_dexycb(root, sequences=(("right", 7), ("left", 8)), subjects=1, filled=100, cameras=8):
    """Subjects whose first sequences have three frames: no hand; hand near; box lifted. The others are empty.

    Returns:
        The hands of the first frames with one, by sequence name; the box's world poses at rest and lifted.
    """
    rng = np.random.default_rng(5)
    serials, truth = SERIALS[:cameras], {}
    views = {serial: look_at_origin(2 * np.pi * k / 8) for k, serial in enumerate(SERIALS)}
    master = views["840412060917"]
    extrinsics = {
        serial: (master @ np.linalg.inv(T))[:3].ravel().tolist()
        for serial, T in [*views.items(), ("apriltag", np.eye(4))]
    }
    calibration = root / "calibration"
    for serial in SERIALS:
        color = {"fx": 615.0, "fy": 614.0, "ppx": 318.5, "ppy": 241.2, "coeffs": [0.0] * 5}
        _write_yaml(calibration / "intrinsics" / f"{serial}_640x480.yml", {"color": color, "depth": color})
    _write_yaml(calibration / f"extrinsics_{_RIG}" / "extrinsics.yml", {"extrinsics": extrinsics, "master": SERIALS[2]})
    write_box_model(root / "models" / "003_cracker_box")
    rest = np.eye(4)
    lifted = rest.copy()
    lifted[:3, 3] = [0.02, 0.0, 0.03]
    for subject in range(1, subjects + 1):
        for number in range(filled):
            real = subject == 1 and number < len(sequences)
            side = sequences[number][0] if real else "right"
            hand = draw_pose(rng, side, near=(0.06, 0.02, 0.12)) if real else None
            name = f"2020070{subject}-subject-{subject:02d}"
            calib = f"{name}_{side}"
            folder = root / name / f"20200709_{140000 + number}"
            meta = {
                "serials": list(serials), "num_frames": 3 if real else 0, "extrinsics": _RIG, "mano_calib": [calib],
                "mano_sides": [side], "ycb_ids": [2], "ycb_grasp_ind": 0,
            }  # fmt: skip
            _write_yaml(folder / "meta.yml", meta)
            if not real:
                continue
            _write_yaml(calibration / f"mano_{calib}" / "mano.yml", {"betas": hand.betas.tolist()})
            truth[f"{name}/{folder.name}"] = hand
            for serial in serials:
                for frame in range(3):
                    pose = lifted if frame == 2 else rest
                    _write_dexycb_frame(folder / serial, frame, None if frame == 0 else hand, views[serial], pose)
    return truth, rest, lifted, master


def _write_yaml(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


def _write_dexycb_frame(folder, frame, hand, T_camera_world, T_world_box):
    camera = Camera(DEXYCB_K, 640, 480)
    box = T_camera_world @ T_world_box
    pose_m, joints, flat = np.zeros((1, 51), np.float32), np.full((1, 21, 3), -1.0), np.full((1, 21, 2), -1.0)
    if hand is None:
        codes = np.isfinite(depth_of_mesh(apply(box, box_corners()), _BOX_FACES, camera)).astype(int)
    else:
        seen = hand.seen(T_camera_world)
        codes = shown(camera, seen, box)
        wrist = axis_angle_from_matrix(seen.rotations[0])
        pose_m[0] = np.concatenate([wrist, hand.coefficients, seen.translation])
        joints = seen.posed.joints[None]
        flat = pixels(joints, DEXYCB_K)
    write_image(folder / f"color_{frame:06d}.jpg", paint(codes))
    write_image(folder / f"aligned_depth_to_color_{frame:06d}.png", np.full((480, 640), 812, np.uint16))
    np.savez_compressed(
        folder / f"labels_{frame:06d}.npz",
        seg=np.array([0, 2, 255], np.uint8)[codes],
        pose_y=box[None, :3].astype(np.float32),
        pose_m=pose_m,
        joint_3d=joints.astype(np.float32),
        joint_2d=flat.astype(np.float32),
    )


HO3D_K = np.array([[610.0, 0, 320.0], [0, 610.0, 245.0], [0, 0, 1]])


def write_ho3d(root, version="v3", seg=True):
    """Train: ABF10 with frames at rest, lifted, and one without annotation; evaluation: AP10 with two frames.

    Returns:
        (hand, T_camera_box) in the optical frame by (split, frame).
    """
    rng = np.random.default_rng(6)
    truth = {}
    suffix = {"v2": "png", "v3": "jpg"}[version]
    tips = np.array([4, 8, 12, 16, 20])
    for split, sequence, frames in (
        ("train", "ABF10", ("0000", "0003", "0007")),
        ("evaluation", "AP10", ("0000", "0001")),
    ):
        xyz, verts = [], []
        for number, frame in enumerate(frames):
            T = look_at_origin(0.4)
            world = np.eye(4)
            world[:3, 3] = [0, 0, 0.04 * (number == 1)]
            hand, box = draw_pose(rng, near=(0.09, 0.02, 0.12)).seen(T), T @ world
            truth[split, frame] = hand, box
            codes = shown(Camera(HO3D_K, 640, 480), hand, box)
            folder = root / split / sequence
            write_image(folder / "rgb" / f"{frame}.{suffix}", paint(codes))
            if seg and split == "train":
                colours = np.array([[0, 0, 0], [0, 255, 0], [255, 0, 0]], np.uint8)  # BGR
                write_image(folder / "seg" / f"{frame}.png", cv2.resize(colours[codes], (320, 240), 0, 0, 0, 0))
            mano_order = np.concatenate([hand.posed.joints16, hand.posed.joints[tips]])
            xyz.append(mano_order @ GL)
            verts.append(hand.posed.vertices @ GL)
            meta = _ho3d_meta(hand, box, mano_order, split)
            if frame == "0007":
                meta = {name: meta[name] if name == "camMat" else None for name in meta}
            (folder / "meta").mkdir(exist_ok=True)
            (folder / "meta" / f"{frame}.pkl").write_bytes(pickle.dumps(meta, 2))
        (root / f"{split}.txt").write_text("".join(f"{sequence}/{frame}\n" for frame in frames))
        if split == "evaluation":
            write_json(root / "evaluation_xyz.json", xyz)
            write_json(root / "evaluation_verts.json", verts)
    return truth


def _ho3d_meta(hand, box, mano_order, split):
    rotations = hand.rotations.copy()
    rotations[0] = GL @ rotations[0]
    meta = {
        "camMat": HO3D_K,
        "objName": "003_cracker_box",
        "objLabel": 2,
        "objRot": axis_angle_from_matrix(GL @ box[:3, :3])[:, None].astype(np.float32),
        "objTrans": (GL @ box[:3, 3]).astype(np.float32),
        "objCorners3DRest": box_corners().astype(np.float32),
    }
    if split == "evaluation":
        flat = pixels(hand.posed.joints, HO3D_K)
        return meta | {
            "handJoints3D": (mano_order @ GL)[0].astype(np.float32),
            "handBoundingBox": [*flat.min(0).tolist(), *flat.max(0).tolist()],
        }
    return meta | {
        "handPose": axis_angle_from_matrix(rotations).ravel().astype(np.float32),
        "handBeta": hand.betas.astype(np.float32),
        "handTrans": (GL @ hand.wrist_m).astype(np.float32),
        "handJoints3D": (mano_order @ GL).astype(np.float32),
    }


FREIHAND_K = np.array([[480.0, 0, 112.0], [0, 480.0, 112.0], [0, 0, 1]])


def write_freihand(root, count=3):
    """Training images before four backgrounds and evaluation images; returns the hands by split."""
    rng = np.random.default_rng(7)
    truth = {}
    for split in ("training", "evaluation"):
        hands = [draw_pose(rng).seen(look_at_origin(0.2 * k)) for k in range(count)]
        truth[split] = hands
        tables = {name: [] for name in ("K", "xyz", "mano", "verts", "scale")}
        for number, hand in enumerate(hands):
            codes = shown(Camera(FREIHAND_K, 224, 224), hand, None)
            for version in range(4 if split == "training" else 1):
                write_image(root / split / "rgb" / f"{number + count * version:08d}.jpg", paint(codes))
            if split == "training":
                write_image(root / split / "mask" / f"{number:08d}.jpg", (codes == 2).astype(np.uint8) * 255)
            joints, model = hand.posed.joints, fake_mano()
            aa = axis_angle_from_matrix(hand.rotations).ravel()
            relative = np.concatenate([aa[:3], aa[3:] - model.hands_mean])
            uv, bone = pixels(joints[9], FREIHAND_K), np.linalg.norm(joints[10] - joints[9])
            tables["K"].append(FREIHAND_K)
            tables["xyz"].append(joints)
            tables["mano"].append([np.concatenate([relative, hand.betas, uv, [bone]])])
            tables["verts"].append(hand.posed.vertices)
            tables["scale"].append(float(bone))
        for name, table in tables.items():
            write_json(root / f"{split}_{name}.json", table)
    return truth


def write_hanco(root):
    """Two sequences of two frames: of the second frame of the first one the labels are not valid, the second is for
    testing; the last frame has no fitted hand. Returns the hands in the world by (sequence, frame), and the cameras."""
    rng = np.random.default_rng(8)
    views = [look_at_origin(2 * np.pi * k / 8) for k in range(8)]
    truth = {}
    for sequence in range(2):
        for frame in range(2):
            hand = draw_pose(rng)
            truth[sequence, frame] = hand
            name = f"{sequence:04d}/{frame:08d}.json"
            write_json(root / "calib" / name, {"K": [FREIHAND_K] * 8, "M": views})
            write_json(root / "xyz" / name, hand.posed.joints)
            aa = axis_angle_from_matrix(hand.rotations).ravel()
            relative = np.concatenate([aa[:3], aa[3:] - fake_mano().hands_mean])
            shape = {"poses": [relative], "shapes": [hand.betas], "global_t": [[hand.posed.joints[9]]]}
            write_json(root / "shape" / name, shape)
            for k, T in enumerate(views):
                codes = shown(Camera(FREIHAND_K, 224, 224), hand.seen(T), None)
                place = f"{sequence:04d}/cam{k}/{frame:08d}.jpg"
                write_image(root / "rgb" / place, paint(codes))
                write_image(root / "mask_hand" / place, (codes == 2).astype(np.uint8) * 255)
    meta = {
        "is_train": [[True, True], [False, False]],
        "subject_id": [[0, 0], [1, 1]],
        "is_valid": [[True, False], [True, True]],
        "object_id": [[0, 0], [0, 0]],
        "has_fit": [[True, True], [True, False]],
    }
    write_json(root / "meta.json", meta)
    return truth, views
