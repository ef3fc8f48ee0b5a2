"""`python -m prehend_training.cli`, as `torchrun` starts it."""

import sys

from prehend_training.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
