"""HTTP client of the API; turns problem details into errors that people understand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from controller.cli.answers import Answer
from controller.cli.errors import DIFFERENT, FAILED, UNREACHABLE, WRONG_INPUT, CliError
from controller.cli.listed import Listed
from controller.cli.saved_tokens import kept
from controller.models.errors import in_words
from controller.models.settings import Settings

__all__ = ["DIFFERENT", "FAILED", "UNREACHABLE", "WRONG_INPUT", "CliError", "Client"]


#: Most items of a page.
_PAGE = 1000


class Client:
    """Calls the API with the user's token: from the environment, from `minka login`, or the embedded controller's.

    Args:
        settings: Address of the API, and the token.
        source: Where the token comes from, for messages.
        patience: Seconds that an answer may take; None for as long as planning may take.

    Raises:
        CliError: For an error answer, for no answer, and for a malformed address or token.
    """

    def __init__(self, settings: Settings, source: str = "MINKA_TOKEN", patience: float | None = None) -> None:
        self._url = _address(settings.url)
        token, self._source, self._home = _token(settings, source)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Planning reads every selected station before it answers.
        timeout = httpx.Timeout(600, connect=5) if patience is None else httpx.Timeout(patience)
        # Trusted certificates load slowly: only for https.
        checked = self._url.startswith("https:")
        self._http = httpx.Client(base_url=self._url, headers=headers, timeout=timeout, verify=checked)

    def get(self, path: str, **params: Any) -> Any:
        """GET; parameters that are None are left out."""
        return self._call("GET", path, params=_given(params))

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """POST a JSON body."""
        return self._call("POST", path, json=body, headers=headers)

    def get_file(self, path: str, **params: Any) -> bytes:
        """GET a file, byte for byte; parameters that are None are left out."""
        return self._answer("GET", path, params=_given(params)).content

    def post_file(self, path: str, body: Any, **params: Any) -> bytes:
        """POST a JSON body; the answer is a file."""
        return self._answer("POST", path, json=body, params=_given(params)).content

    def put(self, path: str, body: Any) -> Any:
        """PUT a JSON body."""
        return self._call("PUT", path, json=body)

    def delete(self, path: str, **params: Any) -> Any:
        """DELETE; parameters that are None are left out."""
        return self._call("DELETE", path, params=_given(params))

    def all(self, path: str, limit: int | None = None, **params: Any) -> Listed:
        """All items of a paged list, or at most ``limit`` and how many more there are."""
        items = Listed()
        offset: int | None = 0
        while offset is not None and (limit is None or len(items) < limit):
            left = _PAGE if limit is None else min(limit - len(items), _PAGE)
            page = self.get(path, limit=left, offset=offset, **params)
            items.add(page)
            offset = page["next"]
        return items

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Server-sent events as (name, data), until the stream ends."""
        yield from self._events("GET", path)

    def progress(self, path: str, body: Any, report: Callable[[int, int], None]) -> Any:
        """POST a JSON body; until the answer comes, ``report`` is called with the number done and the total."""
        for name, data in self._events("POST", path, params={"progress": True}, json=body):
            if name == "progress":
                report(data["done"], data["total"])
            elif name == "problem":
                raise self._refused(httpx.Response(data["status"], json=data))
            else:
                return data
        raise CliError(f"{self._url} closed the connection before the answer was complete: try again", UNREACHABLE)

    def _events(self, method: str, path: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        try:
            with self._http.stream(method, path, timeout=httpx.Timeout(60, connect=5), **arguments) as answer:
                if answer.is_error:
                    answer.read()
                    raise self._refused(answer)
                name = "message"
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield name, json.loads(line.removeprefix("data: "), object_hook=Answer)
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._answer(method, path, **arguments)
        try:
            return answer.json(object_hook=Answer) if answer.content else None
        except ValueError as error:
            raise CliError(f"{self._url} is not Minka's API: it does not answer in JSON", UNREACHABLE) from error

    def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.InvalidURL as error:
            raise CliError(f"{path!r} is not an id: it has characters that no id has", WRONG_INPUT) from error
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if answer.is_error:
            raise self._refused(answer)
        return answer

    def _refused(self, answer: httpx.Response) -> CliError:
        return refused(answer, self._source, self._home)

    def _silent(self, error: httpx.HTTPError) -> CliError:
        return CliError(
            f"no answer from the API at {self._url} ({in_words(error)}): is `minka up` running?", UNREACHABLE
        )


def _unknown_caller(source: str, home: Path | None) -> str:
    """Why nobody is let in with the token from a source, or without one, and what to do."""
    if not source:
        there = f", and {home} (MINKA_HOME) holds none" if home else ""
        return f"a token is needed{there}: set MINKA_HOME to the folder of the controller, MINKA_TOKEN, or minka login"
    why = "it is unknown, has ended or was revoked, or its user is disabled"
    other = f"; if another controller answers here, set MINKA_HOME to its folder in place of {home}" if home else ""
    return f"the token of {source} is not accepted: {why}{other}"


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


def _address(url: str) -> str:
    """Check the address of the API."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host:
        raise CliError(
            f"{url!r} is not the address of an API: set MINKA_API_URL as in http://127.0.0.1:8470", WRONG_INPUT
        )
    return url


def _token(settings: Settings, source: str) -> tuple[str, str, Path | None]:
    """The token and its source, both empty without one; and the home in which it was looked for, if nowhere else."""
    token, home = settings.token, None
    signed_in = None if token else kept(settings.url)
    if signed_in is not None:
        token, source = signed_in.token, signed_in.source
    elif not token:
        home = settings.home.absolute()
        if settings.token_file.is_file():
            source = f"the file {settings.token_file.absolute()}"
            token = settings.token_file.read_text(encoding="utf-8", errors="replace").strip()
    if not all("!" <= character <= "~" for character in token):
        raise CliError(f"{source} holds no token: it has blanks, or characters that no token has", WRONG_INPUT)
    return token, source if token else "", home


def refused(answer: httpx.Response, source: str = "", home: Path | None = None) -> CliError:
    """The error for a refusal.

    Args:
        answer: The refusal.
        source: Where the token came from; empty without one.
        home: Folder in which the token was looked for, if it came from nowhere else.
    """
    try:
        problem = answer.json()
    except ValueError:
        # Not an answer of Minka: of a proxy, or another program on this port.
        problem = {"detail": f"{answer.status_code} from {answer.url}: {answer.text[:200]}"}
    status = WRONG_INPUT if answer.status_code in (400, 401, 403, 404, 409, 413, 422) else FAILED
    if answer.status_code == 503:
        status = UNREACHABLE
    message = str(problem.get("detail", problem) if isinstance(problem, dict) else problem)
    if isinstance(problem, dict) and problem.get("problems"):
        # The user did not type the part of the request, so leave it out.
        message = re.sub(r"(^|; )(?:body|query|path)\.", r"\1", message)
    if answer.status_code == 401:
        message = _unknown_caller(source, home)
    elif message == "Not Found":  # an unknown address, not an unknown id
        why = "it is not open to your side or your role, or another version of Minka answers"
        message = f"{answer.url.path} is not there: {why}"
    return CliError(message, status, problem)
