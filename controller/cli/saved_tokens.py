"""Tokens that ``minka login`` saves in the user's own folder, one for each API."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from controller.models.errors import InputError, in_words


class SavedToken(NamedTuple):
    """A token, its user, and its end; the end is empty if there is none or it is unknown."""

    token: str
    name: str
    ends: str

    @property
    def source(self) -> str:
        """The source of the token for messages: the command that renews it, its user, and its end."""
        return f"minka login ({', '.join(filter(None, (self.name, self.ends and f'until {self.ends}')))})"


def kept_file() -> Path:
    """The file of the tokens, below ``XDG_CONFIG_HOME`` (by default ``~/.config``)."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # A relative path has to be ignored (XDG Base Directory Specification).
    return (folder if folder.is_absolute() else Path.home() / ".config") / "minka" / "tokens.json"


def kept(url: str) -> SavedToken | None:
    """The token for an API. Raises InputError if the file is not one of ours."""
    return _all().get(url)


def keep(url: str, token: str, name: str) -> Path:
    """Save the token for an API in place of an earlier one; returns the file."""
    return _write(_all() | {url: SavedToken(token, name, _end(token))})


def forget(url: str) -> SavedToken | None:
    """Drop the token for an API; None if there was none."""
    tokens = _all()
    gone = tokens.pop(url, None)
    if gone is not None:
        _write(tokens)
    return gone


def _all() -> dict[str, SavedToken]:
    path = kept_file()
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(url): SavedToken(str(one["token"]), str(one["name"]), str(one["ends"])) for url, one in said.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} can't be read ({in_words(error)}): remove it") from error


def _write(tokens: dict[str, SavedToken]) -> Path:
    """Write a file that only its owner reads, whole or not at all."""
    path = kept_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump({url: one._asdict() for url, one in sorted(tokens.items())}, file, indent=2)
    made.replace(path)
    return path


def _end(token: str) -> str:
    """The end of a JWT, only to show it: the API decides whether the token is valid."""
    try:
        claims = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
        return f"{datetime.fromtimestamp(int(ends), UTC):%Y-%m-%d %H:%M} UTC"
    except (IndexError, ValueError, TypeError, KeyError, OverflowError, OSError):
        return ""
