"""``make bench``: every benchmark of this folder, one after the other, each in a process of its own.

python -m tests.benchmarks [NAME …] runs some of them, as in ``device planning``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(names: list[str]) -> int:
    """Run benchmarks; 0 if all of them ended well."""
    every = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    wanted = [f"bench_{name}" for name in names] or every
    unknown = [name for name in wanted if name not in every]
    if unknown:
        known = ", ".join(name.removeprefix("bench_") for name in every)
        print(f"no such benchmark: {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    status = 0
    for name in wanted:
        print(f"\n=== {name}", flush=True)
        status |= subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
