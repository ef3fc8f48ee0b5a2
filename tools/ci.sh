#!/usr/bin/env bash
# What every CI host runs, in this order: formatting, lint, types; pages; every test. PYTHON chooses the interpreter,
# and what is installed for it lies in an environment of its own (.venv-3.12):
#   PYTHON=python3.12 bash tools/ci.sh
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${PYTHON:-}" ] && [ -z "${VENV:-}" ]; then
  VENV=".venv-$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  export VENV
fi
make check
make docs
make test
