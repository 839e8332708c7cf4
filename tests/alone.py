"""A second look at tests that failed beside others: ``python -m tests.alone STATUS``, which ``make test`` calls.

Six processes share two cores, so a wait may run out on a machine that has much else to do. Tests that failed run again
with nothing beside them, three times: a fault of Minka fails again, and a race hardly hides three times. Seeds are
fixed, so the same draws are played. A test that passes each time is named as sensitive to load: that is a bug of the
test. Many failures are no matter of load, and a run that did not come to its end says nothing: both stay failures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

#: The tests that failed in the last run; ``--cache-clear`` keeps those of earlier runs out.
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
#: The exit status of pytest where a run came to its end and tests failed.
TESTS_FAILED = 1
MOST, TIMES = 5, 3


def main(status: int, last_failed: Path = LAST_FAILED) -> int:
    """Exit status of ``make test`` after a run that ended with ``status``: 0 where its few failures pass alone."""
    failed = list(json.loads(last_failed.read_text())) if last_failed.exists() else []
    if status != TESTS_FAILED or not 0 < len(failed) <= MOST:
        return status
    names = "\n  ".join(failed)
    print(f"\nTests that failed beside others run again alone, {TIMES} times:\n  {names}", flush=True)
    for _ in range(TIMES):
        again = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *failed], check=False)
        if again.returncode:
            return again.returncode
    print(f"\nSENSITIVE TO LOAD: tests failed beside others, and passed alone {TIMES} times. Mend them:\n  {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
