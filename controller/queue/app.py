"""The Celery app: one task, JSON only, no results, no chords, no ETAs (docs/explanation/queue.md says why)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery
from kombu import compression

from controller.queue import spool  # noqa: F401 - registers the transport

#: Name of the only task: it wakes the process that receives it.
WAKE = "minka.wake"
#: The queues of workers and of schedulers.
QUEUE, SCHEDULERS = "minka", "minka-schedulers"


def _refuse(_: bytes) -> bytes:
    raise ValueError("our messages are not compressed")


# kombu unpacks a message before it looks at its type, without a bound: 2 kB of bzip2 may hold a gigabyte.
for _form in compression.encoders():
    compression.register(_refuse, _refuse, _form)


def make_worker(app: Celery, name: str) -> Any:
    """Make a consumer, to be started in the main thread.

    Its pool is the thread that reads (``solo``). With any other pool, another thread acknowledges the message that
    fills the prefetch, and over the spool the next message is read two seconds later.
    """
    return app.Worker(
        pool="solo", hostname=f"{name}@%h", loglevel="WARNING", quiet=True, without_gossip=True, without_mingle=True
    )


def make_app(broker_url: str, spool_folder: Path) -> Celery:
    """Make the app for a broker: ``minka-spool://`` (a folder, no server to install) or ``redis://…``."""
    options: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2, "socket_keepalive": True}
    if broker_url.startswith("minka-spool"):
        messages, control = spool_folder / "messages", spool_folder / "control"
        for folder in (messages, control):
            folder.mkdir(parents=True, exist_ok=True)
        options = {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            # The default of one second would be the whole latency of the embedded deployment.
            "polling_interval": 0.05,
        }
    app = Celery("minka", broker=broker_url)
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=options,
        result_backend=None,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        worker_consumer="controller.queue.consumer:LastingConsumer",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app
