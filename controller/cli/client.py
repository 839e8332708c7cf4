"""HTTP client of the API; turns problem details into exits that people understand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from controller.models.settings import Settings


class CliError(Exception):
    """Something to say to the user before leaving with ``status``."""

    def __init__(self, message: str, status: int = 1, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem or {"detail": message}


#: Exit status: an operation failed; the input is wrong; the API can't be reached; there are differences.
FAILED, WRONG_INPUT, UNREACHABLE, DIFFERENT = 1, 2, 3, 10


class Client:
    """Calls the API with the user's token.

    Raises:
        CliError: For every answer that is no success, and when there is no answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        token = settings.token
        if not token and settings.token_file.is_file():
            token = settings.token_file.read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Planning reads every selected station before it answers.
        self._http = httpx.Client(base_url=self._url, headers=headers, timeout=httpx.Timeout(600, connect=5))

    def get(self, path: str, **params: Any) -> Any:
        """GET; parameters that are None are left out."""
        return self._call("GET", path, params={key: value for key, value in params.items() if value is not None})

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """POST a JSON body."""
        return self._call("POST", path, json=body, headers=headers)

    def put(self, path: str, body: Any) -> Any:
        """PUT a JSON body."""
        return self._call("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        """DELETE."""
        return self._call("DELETE", path)

    def all(self, path: str, limit: int, **params: Any) -> list[Any]:
        """Up to ``limit`` items of a paged list."""
        items: list[Any] = []
        offset: int | None = 0
        while offset is not None and len(items) < limit:
            page = self.get(path, limit=min(limit - len(items), 1000), offset=offset, **params)
            items += page["results"]
            offset = page["next"]
        return items

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Server-sent events as (name, data), until the stream ends."""
        try:
            with self._http.stream("GET", path, timeout=httpx.Timeout(60, connect=5)) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refused(answer)
                name = "message"
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield name, json.loads(line.removeprefix("data: "))
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if answer.is_error:
            raise _refused(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise CliError(f"{self._url} is not Minka's API: it does not answer in JSON", UNREACHABLE) from error

    def _silent(self, error: httpx.HTTPError) -> CliError:
        return CliError(
            f"no answer from the API at {self._url} ({type(error).__name__}): is `minka up` running?", UNREACHABLE
        )


def _refused(answer: httpx.Response) -> CliError:
    try:
        problem = answer.json()
    except ValueError:
        # Not ours: a proxy, or another program on this port.
        problem = {"detail": f"{answer.status_code} from {answer.url}: {answer.text[:200]}"}
    status = WRONG_INPUT if answer.status_code in (400, 401, 403, 404, 409, 413, 422) else FAILED
    message = str(problem.get("detail", problem) if isinstance(problem, dict) else problem)
    if answer.status_code == 401:
        message += " (set MINKA_TOKEN, or MINKA_HOME to the folder of the embedded controller)"
    return CliError(message, status, problem)
