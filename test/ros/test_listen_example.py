from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_listener_hears_the_clip(start, domain):
    """Camera, node and listener as a reader starts them: three processes on the real DDS."""
    listener = start(str(EXAMPLES / "ros_listen.py"), "--count", "3")
    start("prehend", "node", "--ros-args", "-r", "image_raw:=/camera/image_raw")
    start("prehend", "play", str(EXAMPLES / "hands.mp4"), "--fov", "60", "--rate", "5", "--loop")
    out, err = listener.communicate(timeout=120)
    assert listener.returncode == 0, err
    lines = out.splitlines()
    assert sum(line.endswith(" hands") for line in lines) == 3
    assert any("wrist [" in line for line in lines), out
