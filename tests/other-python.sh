#!/bin/sh
# A smoke set on the other Python: 3.13 where the virtual environment has an older one, or else 3.11.
# Imports every module, asks `minka` for help, and runs the unit tests of plans, access and transactions.
set -eu
cd "$(dirname "$0")/.."
version=3.13
if .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then version=3.11; fi
if ! "python$version" -c '' 2>/dev/null; then
    echo "################################################################################" >&2
    echo "# There is no python$version: the smoke tests on it ARE SKIPPED." >&2
    echo "################################################################################" >&2
    exit 0
fi
venv=.venv/other-$version
if [ ! "$venv/.ready" -nt requirements.lock ]; then
    sh deploy/setup-venv.sh "python$version" "$venv"
    touch "$venv/.ready"
fi
"$venv/bin/python" - <<'END'
import importlib, pkgutil, sys

for package in ("controller", "simulators"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
print("every module can be imported by Python", sys.version.split()[0])
END
"$venv/bin/minka" --help >/dev/null
"$venv/bin/python" -m pytest -q -n 2 tests/unit/plan tests/unit/access tests/unit/runs/test_transaction.py
