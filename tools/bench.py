"""Measures what the README says about speed: ratios and milliseconds on this machine, `python tools/bench.py --help`.

network   unihope-s on ONNX Runtime against a ResNet-18 trunk in the same process, the object stage on and off
backends  every backend that runs here, stage by stage, beside the same trunk; growth with 1, 2, 4 and 8 hands
peer      MediaPipe Hands and ours in turns on the same frames; PREHEND_MEDIAPIPE names the Python of an environment
          that has it
publish   building, serialising and publishing a HandArray of two hands with meshes
node      image stamp to message minus the pipeline's own time, `prehend play` and `prehend node` over real DDS
memory    resident memory of an Estimator over many frames
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_backends import backends, peer
from bench_jobs import CLIP, THREADS, resnet18_trunk, stage_jobs, taking_turns
from tqdm import tqdm

from prehend.io.sources import open_source
from prehend.pipeline.load import load_estimator
from prehend.weights import load_bundle


def network(rounds: int = 60) -> dict[str, float]:
    """Medians [ms] and their ratios to the ResNet-18 trunk."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle("unihope-s")
        side = int(bundle.manifest["input"]["size"])
        trunk = resnet18_trunk(Path(folder) / "resnet18.onnx", side)
        image = np.random.default_rng(0).random((1, 3, side, side), np.float32)
        taken = taking_turns({**stage_jobs(bundle), "resnet18": lambda: trunk(image)}, rounds)
    ms = {f"{name}_ms": statistics.median(times) for name, times in taken.items()}
    empty = ms["encode_ms"] + ms["hand_ms"]
    whole = empty + ms["object_ms"]
    ratios = {"ratio_with_object": whole / ms["resnet18_ms"], "ratio_without_object": empty / ms["resnet18_ms"]}
    return {**ms, **ratios, "time_saved_without_object": 1 - empty / whole}


def publish(rounds: int = 300) -> dict[str, float]:
    """Median time [ms] from a FrameResult of two hands with meshes to the published message."""
    from prehend.ros import use_large_data

    use_large_data()
    import rclpy

    from prehend.hand_model import load_hand_model, skin
    from prehend.ros.conversion.convert import hand_array, header_message
    from prehend.ros.messages import HAND_ARRAY, encode, message_class
    from prehend.ros.start import end_ros
    from prehend.types import Box, Camera, FrameResult, GraspEstimate, HandEstimate

    model, eye = load_hand_model(), np.tile(np.eye(3, dtype=np.float32), (16, 1, 1))
    posed = skin(model, eye, np.zeros(10, np.float32))
    hand = HandEstimate(
        track_id=1, side="right", score=0.9, box_px=Box(0, 0, 9, 9), keypoints_px=np.zeros((21, 2), np.float32),
        joints_m=posed.joints, vertices_m=posed.vertices, rotations=eye, betas=np.zeros(10, np.float32),
        visible=np.ones(21, bool), grasp=GraspEstimate("not_grasping", 0.1),
    )  # fmt: skip
    camera = Camera(np.array([[500, 0, 320], [0, 500, 240], [0, 0, 1.0]]), 640, 480)
    result = FrameResult(camera, (hand, hand), 0.0, {"total": 1.0}, True)
    rclpy.init()
    node = rclpy.create_node("prehend_bench")
    publisher = node.create_publisher(message_class(HAND_ARRAY), "~/hands", 10)
    header = header_message(0.0, "camera")
    taken = taking_turns({"publish": lambda: publisher.publish(encode(hand_array(header, result)))}, rounds)["publish"]
    end_ros(node)
    return {"publish_two_meshes_ms": statistics.median(taken), "vertices_per_hand": len(model.v_template)}


def node(rate: float = 10.0) -> dict[str, float]:
    """Medians [ms] of latency, pipeline and the difference, from the messages of a node that gets 640 x 480 images."""
    sys.path.insert(0, str(CLIP.parent))
    import demo

    os.environ.setdefault("ROS_DOMAIN_ID", str(101 + os.getpid() % 100))
    heard = demo.run(argparse.Namespace(video=CLIP, rate=rate, fov=60.0, overlay=False)).arrays
    if not heard:
        raise SystemExit("bench: the node published nothing")
    late = [array.latency_ms for array in heard]
    return {
        "messages": len(heard),
        "latency_ms": statistics.median(late),
        "pipeline_ms": statistics.median(array.total_ms for array in heard),
        "overhead_ms": statistics.median(array.latency_ms - array.total_ms for array in heard),
        "dropped": int(heard[-1].dropped),
    }


def memory(frames: int) -> dict[str, float]:
    """Resident memory [MB] after a tenth of the frames and at the end, the clip over and over."""
    with open_source(str(CLIP)) as source:
        pictures = [frame.image_rgb for frame in source]
    taken = []
    with load_estimator(threads=THREADS) as estimator:
        for index in tqdm(range(frames), unit="frame", desc="memory", disable=None):
            if index == frames // 10:
                early = resident_mb()
            taken.append(estimator.estimate(pictures[index % len(pictures)], stamp=index / 30).timing_ms["total"])
        late = resident_mb()
    return {"frames": frames, "early_mb": early, "late_mb": late, "pipeline_ms": statistics.median(taken)}


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts",
        nargs="*",
        default=["network", "backends", "peer", "publish", "node", "memory"],
        help="which (default: all)",
    )
    parser.add_argument(
        "--frames", type=int, default=500, help="of the memory part (default: %(default)s; 10000 for a figure to print)"
    )
    parser.add_argument("--json", type=Path, default=Path("out/bench.json"), help="where the figures go")
    parser.add_argument("--engine-dir", type=Path, help="folder of engines of prehend export to measure too")
    options = parser.parse_args()
    known: dict[str, Callable[[], dict[str, float]]] = {
        "network": network, "backends": lambda: backends(options.engine_dir), "peer": peer, "publish": publish,
        "node": node, "memory": lambda: memory(options.frames),
    }  # fmt: skip
    wrong = [part for part in options.parts if part not in known]
    if wrong:
        parser.error(f"unknown part {wrong[0]}: choose among {', '.join(known)}")
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    }
    print(report["machine"])
    for part in options.parts:
        report[part] = {name: round(float(value), 3) for name, value in known[part]().items()}
        print(part, *(f"  {name:28s} {value:10.3f}" for name, value in report[part].items()), sep="\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
