"""A consumer that notes when it hears which ring: ``python -m tests.integration.shapes.ringing BROKER SPOOL NOTES``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from controller.queue.app import WAKE, make_app, make_worker


def main(broker: str, spool: Path, notes: Path) -> None:
    """Consume until SIGTERM."""
    app = make_app(broker, spool)
    worker = make_worker(app, "listener")

    @app.task(name=WAKE)  # type: ignore[untyped-decorator]
    def wake(run_id: str) -> None:
        with notes.open("a", encoding="utf-8") as file:
            file.write(f"{run_id} {time.monotonic()}\n")

    worker.start()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
