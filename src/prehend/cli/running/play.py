"""`prehend play`: images as the topics of a camera driver."""

from prehend.cli.arguments.parsing import Parser


def run(argv: list[str]) -> int:
    """Publish until the source ends; returns the exit code."""
    from prehend.ros.playback.play import add_arguments, run_play

    parser = Parser("prehend play", "Publish an image, a folder of images, a video, a camera or a bag on ROS 2 topics.")
    add_arguments(parser)
    return run_play(parser.parse_args(argv))
