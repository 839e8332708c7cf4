"""Tokens that ``minka login`` keeps: in the user's own folder, one for each API."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from controller.models.errors import InputError


class SavedToken(NamedTuple):
    """A token, whose it is, and when it ends as far as it says; empty for no end or an unknown one."""

    token: str
    name: str
    ends: str

    @property
    def source(self) -> str:
        """Where the token comes from, for messages: what would renew it, whose it is, and its end."""
        return f"minka login ({', '.join(filter(None, (self.name, self.ends and f'until {self.ends}')))})"


def kept_file() -> Path:
    """Where the tokens are: below ``XDG_CONFIG_HOME``, which is ``~/.config`` unless it says otherwise."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # A relative one is to be ignored (XDG Base Directory Specification).
    return (folder if folder.is_absolute() else Path.home() / ".config") / "minka" / "tokens.json"


def kept(url: str) -> SavedToken | None:
    """The token for an API. Raises InputError where the file is none of ours."""
    return _all().get(url)


def keep(url: str, token: str, name: str) -> Path:
    """Keep the token for an API, in place of the one before; where it is kept."""
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
        raise InputError(f"{path} can't be read ({type(error).__name__}): remove it") from error


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
    """When a JWT says that it ends. Only shown to people: whether it is valid is for the API to say."""
    try:
        claims = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
        return f"{datetime.fromtimestamp(int(ends), UTC):%Y-%m-%d %H:%M} UTC"
    except (IndexError, ValueError, TypeError, KeyError, OverflowError, OSError):
        return ""
