#!/usr/bin/env bash
# What every CI host runs, in this order: formatting, lint, types; pages; every test. PYTHON chooses the interpreter:
#   PYTHON=python3.12 bash tools/ci.sh
set -euo pipefail
cd "$(dirname "$0")/.."
make check
make docs
make test
