"""Structured logs: a stable event key, JSON lines for machines or a console form for people."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from controller.models.untrusted import visible


class LossyStream:
    """A stream that drops records when it can't write (a full disk, a closed pipe), and never raises."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def _lines(text: str) -> str:
    """Text of several lines without control sequences for the terminal that shows it."""
    return "\n".join(map(visible, text.split("\n")))


def _inert(_logger: object, _method: str, record: structlog.types.EventDict) -> structlog.types.EventDict:
    """A record without control sequences for the terminal or line feeds; only a traceback has several lines."""
    for name, value in record.items():
        if isinstance(value, str):
            record[name] = _lines(value) if name == "exception" else visible(value)
    return record


def _of_library(_logger: object, _method: str, record: structlog.types.EventDict) -> structlog.types.EventDict:
    """A record of a library: its words are no event key that anybody may count on."""
    record["text"], record["event"] = str(record["event"]).strip(), "library.logged"
    return record


def set_up_logs(form: str, process: str) -> None:
    """Send all records to standard error in one form, those of libraries and warnings of Python too.

    Args:
        form: ``json`` or ``console``.
        process: Name of this process, in every record.
    """
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=colours)
    )

    def named(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        # Not a context variable, since other threads of the process would not have it.
        event["process"] = process
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        named,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.types.Processor] = [
        structlog.processors.format_exc_info,
        *([] if form == "json" else [_inert]),  # JSON has escapes of its own
        renderer,
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _of_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(capture=True)
