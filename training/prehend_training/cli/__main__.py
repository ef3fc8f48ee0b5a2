"""`python -m prehend_training.cli`, as `torchrun` starts it."""

import os
import sys

from prehend_training.cli.main import main

if __name__ == "__main__":
    code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # not asked of torch, which takes a second to import
        from prehend_training.train.loop.distributed import leave

        leave(code)
    sys.exit(code)
