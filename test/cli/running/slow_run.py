"""`prehend run` with the toy estimator, which takes its time: python slow_run.py SECONDS_A_FRAME ARGUMENTS...

With SECONDS_A_FRAME,FRAME,FILE it stands still before a frame until there is that file, however slow who watches it is.
"""

import importlib.util
import sys
import time
from pathlib import Path

spec = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "conftest.py")
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)


SECONDS, STANDS_AT, GATE = (*sys.argv[1].split(",", 2), "", "")[:3]


class Slow(toys.ToyEstimator):
    def estimate(self, *given):
        time.sleep(float(SECONDS))
        while STANDS_AT and self.frames == int(STANDS_AT) and not Path(GATE).exists():
            time.sleep(0.01)
        return super().estimate(*given)


def load(args, tracking):
    return Slow(tracking)


if __name__ == "__main__":
    import prehend.cli.running.run
    from prehend.cli.main import main

    prehend.cli.running.run.run.__defaults__ = (load,)
    sys.exit(main(["run", *sys.argv[2:]]))
