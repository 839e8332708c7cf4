"""``minka evidence``: keys and heads that others keep, and files verified by them without any controller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.errors import DIFFERENT, CliError
from controller.cli.output import Json, Limit, client, print_lines, print_result, when
from controller.cli.settings import settings as environment
from controller.cli.tables import Column, records
from controller.inventory.source import content_of
from controller.models.errors import InputError

if TYPE_CHECKING:
    from controller.models.evidence import TrailHead
    from controller.models.signed_note import PublicKey

evidence = typer.Typer(
    no_args_is_help=True,
    help="What others keep to verify by: public keys, signed statements, heads of the audit trail.",
)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A statement, a head, or a head with a proof.")]
To = Annotated[Path | None, typer.Option("--to", help="File to write to. Default: the terminal.")]
#: The ending of the file with the signed note, beside the file that it is about.
NOTE = ".note"


@evidence.command("keys", epilog="Example: minka evidence keys --to host.keys")
def keys(to: To = None, as_json: Json = False) -> None:
    """Print the public keys that verify what was signed. Compare them on a way of their own before you trust them."""
    _write("".join(f"{line}\n" for line in client().get("/v1/evidence/keys")["keys"]), to, as_json=as_json)


@evidence.command("heads", epilog="Example: minka evidence heads --limit 7")
def heads(limit: Limit = 30, as_json: Json = False) -> None:
    """List published heads of the audit trail, newest first: one a day."""
    found = client().all("/v1/evidence/heads", limit)
    records(
        found,
        [Column("issued"), Column("leaves")],
        ([when(one["issued"]), one["size"]] for one in found),
        as_json=as_json,
    )


@evidence.command("head", epilog="Example: minka evidence head --since kept.head --to today.head")
def head(
    since: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A head that was kept: add the proof that the newest extends it."
        ),
    ] = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Get the newest head of the audit trail, to be kept where its host can't change it."""
    if since is None:
        newest = client().get("/v1/evidence/heads", limit=1)["results"]
        if not newest:
            raise CliError("no head is published yet: the scheduler does so within minutes of its first start")
        _write(newest[0]["note"], to, as_json=as_json)
        return
    size = _note_of(since).splitlines()[1:2]
    if not size or not size[0].isdecimal():
        raise InputError(f"{since} holds no head of an audit trail")
    _write(client().get_file("/v1/evidence/extension", since=size[0]).decode(), to, as_json=as_json)


@evidence.command("verify", epilog="Example: minka evidence verify bitel.html --keys host.keys")
def verify(
    file: File,
    keys: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="File of public keys that you trust.")],
    note: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Of a statement: its signed note. Default: FILE.note, if there."
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Of a head with a proof: the head that you kept."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify a statement or a head of the audit trail by public keys alone; no controller is asked. Else status 10."""
    from controller.models.signed_note import PublicKey  # noqa: PLC0415 - only for this

    trusted = PublicKey.found_in(_text(keys), str(keys))
    beside = note or file.with_name(file.name + NOTE)
    try:
        found = _statement(file, beside, trusted) if beside.is_file() else _trail(file, since, trusted)
    except InputError as error:
        raise CliError(f"{file}: {error.message}", DIFFERENT) from error
    text = found.pop("says")
    print_result(found, f"{file} is {text}, signed by {found['name']} ({found['key']})", as_json=as_json)


def _statement(file: Path, note: Path, trusted: tuple[PublicKey, ...]) -> dict[str, Any]:
    from controller.models.evidence import StatementNote  # noqa: PLC0415 - only for this

    signed, key = StatementNote.read(_text(note), trusted)
    form = signed.form_of(content_of(file))
    issued = signed.issued.isoformat()
    says = f"{signed.id} as {form}, issued {when(issued)}"
    return {"says": says, "id": signed.id, "form": form.value, "issued": issued, "name": key.name, "key": key.id.hex()}


def _trail(file: Path, since: Path | None, trusted: tuple[PublicKey, ...]) -> dict[str, Any]:
    from controller.models.evidence import Extension, TrailHead  # noqa: PLC0415 - only for this

    text = _text(file)
    if text.startswith("old "):
        if since is None:
            raise typer.BadParameter(f"{file} proves that it extends an earlier head: name that", param_hint="--since")
        before, _ = TrailHead.read(_note_of(since), trusted)
        after, key = Extension.parsed(text).check(before, trusted)
        return _head_found(after, key, f"a head of the audit trail that extends {since}")
    if since is not None:
        raise InputError("it has no proof that it extends another head: get it with `minka evidence head --since`")
    return _head_found(*TrailHead.read(text, trusted), "a head of the audit trail")


def _head_found(head: TrailHead, key: PublicKey, says: str) -> dict[str, Any]:
    issued = head.issued.isoformat()
    found = {"says": f"{says}, published {when(issued)}", "size": head.size, "root": head.root.hex(), "issued": issued}
    return found | {"name": key.name, "key": key.id.hex()}


@evidence.command("new-key", epilog="Example: minka evidence new-key")
def new_key(as_json: Json = False) -> None:
    """Add a key that signs from the next start of all processes on, in the file of keys on this machine."""
    from controller.store.database.evidence import add_signing_key  # noqa: PLC0415 - only for this

    asked = environment()
    if asked.signing_keys.startswith("env:"):
        raise InputError(f"the keys come from {asked.signing_keys}: add a line there")
    key = add_signing_key(asked.signing_file, asked.signing_name).public
    text = f"a key was added to {asked.signing_file}: restart all processes; its public key is {key.line}"
    print_result({"key": key.line, "file": str(asked.signing_file)}, text, as_json=as_json)


def _note_of(file: Path) -> str:
    """The signed head in a file, with a proof or without."""
    from controller.models.evidence import Extension  # noqa: PLC0415 - only for this

    text = _text(file)
    return Extension.parsed(text).note if text.startswith("old ") else text


def _text(file: Path) -> str:
    """Raises InputError."""
    from controller.models.signed_note import LONGEST  # noqa: PLC0415 - only for this

    if not file.is_file():  # such as a pipe, which may never end
        raise InputError(f"{file} is no regular file")
    try:
        with file.open("rb") as content:
            return content.read(LONGEST + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no text, and no signed note lies beside it") from error


def _write(text: str, to: Path | None, *, as_json: bool) -> None:
    """Write a text to a file, or show it."""
    if to is not None:
        to.write_text(text, encoding="utf-8")
    print_lines({"text": text}, text.splitlines() if to is None else [f"written to {to}"], as_json=as_json)
