"""The page ``/docs``, to browse the API; a browser loads all its parts from here, and none from other hosts."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response

PAGE = "/docs"
#: Scripts and styles of Swagger UI, from an installed package.
_PACKAGE, _ASSETS = "fastapi_offline", ("swagger-ui.css", "swagger-ui-bundle.js")
_START = "start.js"
#: Paths of the page and its parts.
PATHS = frozenset({PAGE, *(f"{PAGE}/{name}" for name in (*_ASSETS, _START))})

_HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Minka</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null});
"""


def install(app: FastAPI) -> None:
    """Add the page to the app."""
    app.add_api_route(PAGE, _page, include_in_schema=False)
    app.add_api_route(f"{PAGE}/{_START}", _start, include_in_schema=False)
    for name in _ASSETS:
        app.add_api_route(f"{PAGE}/{name}", _Asset(name), include_in_schema=False, response_class=FileResponse)


def _page() -> Response:
    return HTMLResponse(_HTML)


def _start() -> Response:
    return Response(_SCRIPT, media_type="text/javascript")


class _Asset:
    """A file of the package."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.__name__ = name

    def __call__(self) -> FileResponse:
        return FileResponse(str(files(_PACKAGE) / "static" / self._name))
