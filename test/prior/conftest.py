import sys
from pathlib import Path

# the training workspace is a package of its own and may not be installed
sys.path[:0] = [str(Path(__file__).parents[2] / "training"), str(Path(__file__).parent)]
