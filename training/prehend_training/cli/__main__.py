"""`python -m prehend_training.cli`, as `torchrun` starts it."""

import sys

from prehend_training.cli.main import main

sys.exit(main())
