"""`prehend run` with the toy estimator, which takes its time: python slow_run.py SECONDS_A_FRAME ARGUMENTS..."""

import importlib.util
import sys
import time
from pathlib import Path

spec = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("conftest.py"))
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)


class Slow(toys.ToyEstimator):
    def estimate(self, *given):
        time.sleep(float(sys.argv[1]))
        return super().estimate(*given)


def load(args, tracking):
    return Slow(tracking)


if __name__ == "__main__":
    import prehend.cli.running.run
    from prehend.cli.main import main

    prehend.cli.running.run.run.__defaults__ = (load,)
    sys.exit(main(["run", *sys.argv[2:]]))
