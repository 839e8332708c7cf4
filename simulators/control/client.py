"""Asking a fleet that runs, over its control interface."""

from __future__ import annotations

import json
from typing import Annotated, Any

import httpx
import typer

DEFAULT_CONTROL = "127.0.0.1:8390"
ControlUrl = Annotated[
    str, typer.Option("--control", envvar="MINKA_SIMULATORS_CONTROL", help="Control interface of the fleet, HOST:PORT.")
]


def call(method: str, control: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Send a request and return its answer.

    Raises:
        typer.Exit: no fleet answers there (2), or it refuses (1); the reason was printed.
    """
    url = control if control.startswith("http") else f"http://{control}"
    try:
        response = httpx.request(method, url.rstrip("/") + path, json=body, timeout=10)
    except httpx.HTTPError as error:
        typer.echo(f"no fleet answers at {control}: {error}", err=True)
        raise typer.Exit(2) from error
    answer = response.json()
    if response.is_error:
        typer.echo(f"refused: {answer.get('detail', answer)}", err=True)
        raise typer.Exit(1)
    return answer


def show(answer: Any) -> None:
    """Print an answer as one line of JSON."""
    typer.echo(json.dumps(answer))
