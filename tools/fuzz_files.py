"""The borders of `make fuzz` that are files of records: answers, truth, labels of others, engines, meshes."""

import json
import random
import struct
from pathlib import Path
from typing import Any

from fuzz_input import changed_value, damaged

FILE_NAMES = ("answers", "truth", "labels", "engine", "mesh")


def _eye(size: int) -> list[list[float]]:
    return [[float(row == column) for column in range(size)] for row in range(size)]


POINTS_PX = [[10.0 + n, 20.0 + n] for n in range(21)]
POINTS_M = [[0.01 * n, 0.0, 0.5] for n in range(21)]
CAMERA = {
    "K": [[500.0, 0, 32], [0, 500, 24], [0, 0, 1]],
    "estimated": True,
    "distortion": [],
    "distortion_model": "plumb_bob",
}
ANSWER: dict[str, Any] = {
    "source": "a", "index": 0, "stamp": 0.0, "width": 64, "height": 48, "camera": CAMERA, "timing_ms": {"total": 1.0},
    "hands": [{
        "track_id": 1, "side": "left", "score": 0.9, "box_px": [1.0, 2, 30, 40], "keypoints_px": POINTS_PX,
        "joints_m": POINTS_M, "visible": [True] * 21, "grasp": {"state": "grasping", "probability": 0.7, "since": 0.0},
        "object": {"id": "mug", "score": 0.5, "rotation": _eye(3), "translation_m": [0.0, 0, 0.5],
                   "keypoints_px": [], "box_px": [1.0, 2, 3, 4], "extents_m": [0.1, 0.1, 0.1]},
        "wrist": {"position_m": [0.0, 0, 0.5], "quaternion_xyzw": [0.0, 0, 0, 1]}, "rotations": [_eye(3)] * 16,
    }],
}  # fmt: skip
"""One frame of a predictions file of schema 2."""

TRUTH: dict[str, Any] = {
    "schema": "prehend.truth/1",
    "frames": [{
        "source": "a", "index": 0, "stamp": 0.0, "complete": True, "size": [64, 48],
        "hands": [{"side": "left", "joints_m": POINTS_M, "keypoints_px": POINTS_PX, "box_px": [1, 2, 3, 4],
                   "grasp": True, "held": {"id": "mug", "T_camera_object": _eye(4)}}],
        "objects": [{"id": "mug", "T_camera_object": _eye(4)}], "marks": [{"side": "left", "grasp": True}],
    }],
}  # fmt: skip
BOP: dict[str, Any] = {"0": [{"cam_R_m2c": [1.0, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [0.0, 0, 500], "obj_id": 1}]}
COCO: dict[str, Any] = {
    "images": [{"id": 0, "file_name": "a.png", "width": 64, "height": 48}],
    "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "keypoints": [10.0, 20.0, 2] * 21}],
    "categories": [{"id": 1, "name": "left hand"}],
}
OURS: dict[str, Any] = {
    "schema": "prehend.photo_labels/1",
    "photos": [{
        "path": "a.png", "size": [64, 48],
        "hands": [{"box_px": None, "keypoints_px": POINTS_PX, "side": "left", "held": None}],
    }],
}  # fmt: skip
CVAT = (
    '<annotations><version>1.1</version><image id="0" name="a.png" width="64" height="48">'
    f'<points label="left_hand" points="{";".join(f"{x},{y}" for x, y in POINTS_PX)}"/></image></annotations>'
)
ENGINE: dict[str, Any] = {
    "schema": "prehend.engine/1", "backend": "onnx", "provider": "cpu", "precision": "fp32", "compiled": False,
    "weights": {"sha256": "0" * 64}, "graphs": {}, "built_with": {}, "stages": {},
}  # fmt: skip


class FileBorders:
    """Files of records, changed in one value or in some bytes; each method takes a case's random numbers."""

    folder: Path

    def answers(self, rng: random.Random) -> None:
        """A predictions file of schema 2, to its hands and objects."""
        from prehend.eval.answers import read_answers

        head = {"schema": "prehend.predictions/2", "model": {"name": "x", "weights_sha256": "0" * 64}}
        path = self._written("answers.json", json.dumps({**head, "frames": [ANSWER]}), rng)
        list(read_answers(path).frames)

    def truth(self, rng: random.Random) -> None:
        """What `prehend eval --truth` reads: our truth, BOP's, COCO's, ours of photographs, predictions."""
        from prehend.eval.truth.files import read_truth_file

        read_truth_file(self._written("truth.json", json.dumps(rng.choice((TRUTH, BOP, COCO, OURS))), rng), {})

    def labels(self, rng: random.Random) -> None:
        """What `prehend-train import` reads: COCO, CVAT, ours."""
        from prehend_training.imports.readers import read_any

        name, content = rng.choice(
            (("a.xml", CVAT), ("a.xml", CVAT), ("a.json", json.dumps(COCO)), ("b.json", json.dumps(OURS)))
        )
        read_any(self._written(name, content, rng), rng.random() < 0.5)

    def engine(self, rng: random.Random) -> None:
        """The manifest of an engine, with the digest of what it became where that can be had."""
        from prehend.backends.engine_files import DIGEST, MANIFEST, checked_engine, digest_of
        from prehend.backends.settings import BackendSettings
        from prehend.weights import available, load_bundle

        bundle = load_bundle(available()[0])
        settings = BackendSettings(engine_dir=self.folder / "engines")
        folder = settings.engines / bundle.name / f"onnx-cpu-{settings.precision}"
        folder.mkdir(parents=True, exist_ok=True)
        path = self._written("engine.json", json.dumps(ENGINE), rng)
        try:
            content = json.loads(path.read_bytes())
            content[DIGEST] = digest_of(content)
            path.write_text(json.dumps(content))
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass  # it stays as damaged as it is
        path.replace(folder / MANIFEST)
        checked_engine(bundle, "onnx", "cpu", settings, {})

    def mesh(self, rng: random.Random) -> None:
        """A mesh: obj, ply, stl, glb."""
        from prehend.mesh_files import read_scene

        corners = struct.pack("<9f", 0, 0, 0, 0.1, 0, 0, 0, 0.1, 0)
        text = json.dumps(changed_value(GLB, rng) if rng.random() < 0.7 else GLB).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", 36, b"BIN\0") + corners
        files = {
            ".glb": b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks,
            ".obj": b"v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n",
            ".stl": bytes(80) + struct.pack("<I12fH", 1, 0, 0, 1, 0, 0, 0, 0.1, 0, 0, 0, 0.1, 0, 0),
            ".ply": b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
            b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        }
        suffix = rng.choice((".glb", *files))
        path = self.folder / f"a{suffix}"
        path.write_bytes(damaged(files[suffix], rng) if rng.random() < 0.7 else files[suffix])
        read_scene(path)

    def _written(self, name: str, text: str, rng: random.Random) -> Path:
        """A file of this text, whose bytes are damaged, or whose document has another value somewhere."""
        path = self.folder / name
        if name.endswith(".json") and rng.random() < 0.8:
            path.write_text(json.dumps(changed_value(json.loads(text), rng)))
        else:
            path.write_bytes(damaged(text.encode(), rng))
        return path


GLB: dict[str, Any] = {
    "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
    "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}], "buffers": [{"byteLength": 36}],
}  # fmt: skip
