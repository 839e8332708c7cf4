"""Statements of what a tenant got in a month: draft, issue, list, fetch, and verify a file."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, listing
from controller.api.statements import draft, settled
from controller.api.views import CallerView
from controller.models.errors import AbsentError, ConflictError
from controller.models.people import Permission, Person
from controller.models.statement import IssuedStatement, Month, Statement, StatementForm, StatementKind, StatementProof
from controller.performance.statements import figures_of, files_of
from controller.store import StatementFilter, Store

router = Router(prefix="/v1/statements", tags=["statements"])

_MEDIA = {StatementForm.JSON: "application/json", StatementForm.CSV: "text/csv", StatementForm.HTML: "text/html"}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {"schema": {"type": "string"}} for media in _MEDIA.values()}, "description": "The file"}
}
_Form = Annotated[StatementForm, Query(alias="format", description="Format of the file.")]
_Version = Annotated[int | None, Query(ge=1, le=1_000_000, description="Default: the latest.")]


class _OfMonth(NamedTuple):
    """The statement that a path names.

    Attributes:
        kind: Its kind.
        tenant: Whose it is.
        month: Of which month.
    """

    kind: StatementKind
    tenant: str
    month: str


def _of_month(kind: StatementKind, tenant: Annotated[str, Path(max_length=64)], month: Month) -> _OfMonth:
    return _OfMonth(kind, tenant, month)


_Named = Annotated[_OfMonth, Depends(_of_month)]


class NewStatement(Body):
    """Why to issue another version of a statement on record.

    ``anew`` says that none was issued on a record that was lost since. ``figures`` are those of the draft that a person
    agreed to: others are not issued.
    """

    reason: str = Field(default="", max_length=1000)
    anew: bool = False
    figures: str = Field(default="", pattern="^([0-9a-f]{64})?$")


class KeptStatement(Body):
    """A statement that was issued on a record that was lost: its files as they were issued, and the signed note.

    CSV and HTML are needed only where this version of Minka makes them another way.
    """

    json_file: str
    csv_file: str | None = None
    html_file: str | None = None
    note: str = Field(max_length=10_000)

    @property
    def files(self) -> dict[StatementForm, bytes]:
        """Contents by form."""
        given = (self.json_file, self.csv_file, self.html_file)
        return {form: text.encode() for form, text in zip(StatementForm, given, strict=True) if text is not None}


@router.get("")
def statements(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    kind: StatementKind | None = None,
    tenant: Annotated[str | None, Query(max_length=64)] = None,
    month: Month | None = None,
) -> Listing[IssuedStatement]:
    """Statements on record with the digests of their files, newest first; a tenant sees its own."""
    total, found = seen.statements(paging, StatementFilter(kind, tenant, month))
    return listing(total, found, paging)


@router.get("/proofs/{digest}")
def proof(
    digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of a file.")],
    seen: CallerView,
    _: Annotated[Person, needs(Permission.READ)],
) -> StatementProof:
    """Which issued statement a file is, and whether the row of the audit trail about it is unchanged."""
    return seen.proof(digest)


@router.get("/{kind}/{tenant}/{month}", response_class=Response, responses=_FILE)
def show(
    named: _Named,
    seen: CallerView,
    _: Annotated[Person, needs(Permission.READ)],
    version: _Version = None,
    form: _Form = StatementForm.JSON,
) -> Response:
    """An issued statement, byte for byte."""
    issued, content = seen.statement(*named, version, form)
    return _file(content, form, issued.id)


@router.get("/{kind}/{tenant}/{month}/note", response_class=PlainTextResponse)
def show_note(
    named: _Named,
    seen: CallerView,
    _: Annotated[Person, needs(Permission.READ)],
    version: _Version = None,
) -> PlainTextResponse:
    """The signed note about the files of an issued statement, which verifies them with public keys alone."""
    return PlainTextResponse(seen.statement_note(*named, version))


@router.post("/taken-back")
def take_back(kept: KeptStatement, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> IssuedStatement:
    """Put a statement on record again that was issued on a record that was lost, by its files and their signed note."""
    return backend.store.statements.take_back(kept.files, kept.note, who.name)


@router.get("/{kind}/{tenant}/{month}/draft", response_class=Response, responses=_FILE)
async def show_draft(
    named: _Named,
    request: Request,
    seen: CallerView,
    _: Annotated[Person, needs(Permission.READ)],
    form: _Form = StatementForm.JSON,
) -> Response:
    """The figures of a month as they are known now, on no record; so for a month that is not over too."""
    made = await seen.draft(*named, request.state.turn.left)
    # A large one would delay all other callers, if the loop made its files.
    files = await run_in_threadpool(files_of, made)
    return _file(files[form], form, "-".join((*named, "draft")))


@router.post("/{kind}/{tenant}/{month}", response_class=Response, responses=_FILE)
def issue(
    named: _Named,
    asked: NewStatement,
    backend: Backend,
    who: Annotated[Person, needs(Permission.RUN)],
    form: _Form = StatementForm.JSON,
) -> Response:
    """Issue a statement and return it; a statement on record is returned as it is, unless a reason is given.

    With a reason, all figures are computed again, and a difference becomes the next version. A month that is not over
    can't be issued, nor one that ended less than a day ago, where measurements count.
    """
    store, now = backend.store, backend.clock.now()
    if not asked.reason and (known := _latest(store, named)):
        return _file(store.statements.file(known, form), form, known)
    made: Statement = draft(store, now, *named)
    if now < (at := settled(made)):
        raise ConflictError(
            f"{named.month} can be issued from {at:%Y-%m-%d %H:%M} ({made.timezone}) on, and is a draft now"
        )
    if asked.figures not in ("", figures_of(made)):
        raise ConflictError("the figures are others by now than those of the draft: see it again")
    issued = store.statements.issue(made, who.name, asked.reason, anew=asked.anew)
    return _file(store.statements.file(issued.id, form), form, issued.id)


def _latest(store: Store, named: _OfMonth) -> str:
    """Id of the latest version on record; empty if there is none."""
    try:
        return store.statements.get(*named)[0].id
    except AbsentError:
        return ""


def _file(content: bytes, form: StatementForm, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, media_type=_MEDIA[form], headers=disposition)
