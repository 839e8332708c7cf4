"""``minka token``, ``minka user``, ``minka login``, ``minka logout``, ``minka whoami``: who may call."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli import completion
from controller.cli.errors import WRONG_INPUT, CliError
from controller.cli.output import Json, bold, client, err, out, print_answer, print_result, when
from controller.cli.saved_tokens import forget, keep
from controller.cli.settings import settings as environment
from controller.cli.tables import Column, records
from controller.models.enums import Permission, Role
from controller.models.errors import NotFoundError

if TYPE_CHECKING:
    from controller.models.settings import Settings

tokens = typer.Typer(no_args_is_help=True, help="API tokens: your own, or all with the permission `people`.")
users = typer.Typer(no_args_is_help=True, help="Users and their roles.")

TokenId = Annotated[str, typer.Argument(help="Id of a token, as in t-5a1c77e0.", autocompletion=completion.tokens)]
Name = Annotated[str, typer.Argument(help="Name of a user.", autocompletion=completion.users)]
Tenant = Annotated[str, typer.Option(help="Tenant of the user, for tenant roles.", autocompletion=completion.tenants)]


@tokens.command("new", epilog="Example: minka token new --label prometheus --scope metrics --days 365")
def new(
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[
        list[Permission] | None,
        typer.Option(
            help=f"A permission that it opens ({', '.join(Permission)}); repeatable. None: all that yours opens."
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(min=0, help="Days until it ends, 0 for never. Default: 90, or fewer if yours ends sooner."),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Owner of the token. Default: you.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token. Its secret is printed once and stored nowhere."""
    body: dict[str, Any] = {"label": label, "scopes": scope, "owner": owner}
    if days is not None:
        body["days"] = days or None
    print_answer(client().post("/v1/tokens", body), _print_secret, as_json=as_json)


@tokens.command("list", epilog="Example: minka token list --owner ana")
def list_tokens(
    owner: Annotated[str | None, typer.Option(help="Owner of the tokens. Default: you.")] = None, as_json: Json = False
) -> None:
    """List tokens without their secrets."""
    found = client().all("/v1/tokens", owner=owner)
    columns = (
        Column("id"),
        Column("owner", 1, tells=True),
        Column("label", 2, prose=True, tells=True),
        Column("scopes", 5, prose=True, tells=True),
        Column("created", 7),
        Column("expires", 3, tells=True),
        Column("used", 6),
        Column("revoked", 4, tells=True),
    )
    records(found, columns, ([_cell(token, column.name) for column in columns] for token in found), as_json=as_json)


def _cell(token: dict[str, Any], column: str) -> str:
    if column == "scopes":
        return "all of the role" if token[column] is None else " ".join(token[column]) or "none"
    return str(token[column]) if column in ("id", "owner", "label") else when(token[column])


@tokens.command("rotate", epilog="Example: minka token rotate t-5a1c77e0 --overlap 48")
def rotate(
    token_id: TokenId,
    overlap: Annotated[float, typer.Option(min=0, help="Hours for which the old token stays valid.")] = 24,
    as_json: Json = False,
) -> None:
    """Replace a token by a new one like it; the old one stays valid for a while."""
    issued = client().post(f"/v1/tokens/{token_id}/rotate", {"overlap_hours": overlap})
    print_answer(issued, _print_secret, as_json=as_json)


@tokens.command("revoke", epilog="Example: minka token revoke t-5a1c77e0")
def revoke(
    token_id: TokenId,
    with_made: Annotated[
        bool,
        typer.Option("--with-made", help="Also revoke all tokens that descend from it (for a lost token)."),
    ] = False,
    as_json: Json = False,
) -> None:
    """End a token now, permanently."""
    client().delete(f"/v1/tokens/{token_id}", with_made=with_made or None)
    print_result({"revoked": token_id}, f"token {token_id} is revoked", as_json=as_json)


@users.command("add", epilog="Example: minka user add rosa --role tenant-approver --tenant bitel")
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")],
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Add a user; then make a token for them."""
    _print_user(client().post("/v1/users", {"name": name, "role": role, "tenant": tenant}), as_json=as_json)


@users.command("list", epilog="Example: minka user list --json")
def list_users(as_json: Json = False) -> None:
    """List users by name."""
    columns = (
        Column("name"),
        Column("role"),
        Column("tenant"),
        Column("created", 2, time=True, tells=True),
        Column("disabled", 1, time=True, tells=True),
    )
    records(client().all("/v1/users"), columns, as_json=as_json)


@users.command("role", epilog="Example: minka user role ana approver")
def role_of(
    name: Name,
    role: Annotated[Role, typer.Argument(help="New role.")],
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Change a user's role; it applies to their tokens at once."""
    _change(name, as_json=as_json, role=role, tenant=tenant)


@users.command("disable", epilog="Example: minka user disable ana")
def disable(name: Name, as_json: Json = False) -> None:
    """Disable a user: their tokens stop working."""
    _change(name, as_json=as_json, disabled=True)


@users.command("enable", epilog="Example: minka user enable ana")
def enable(name: Name, as_json: Json = False) -> None:
    """Enable a disabled user: their tokens work again."""
    _change(name, as_json=as_json, disabled=False)


def login(
    paste: Annotated[
        bool | None,
        typer.Option(
            "--paste/--device",
            help="Read a token, or sign in at the identity provider. Default: read a piped token; at a "
            "terminal, sign in at the provider if there is one.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign in at the identity provider or with a token, which is tried before it is saved."""
    settings = environment()
    token = _signed_in(settings, must=paste is False) if _at_provider(paste) else ""
    source = "the identity provider" if token else "standard input"
    if not token:
        token = typer.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    settings = settings.model_copy(update={"token": str(token).strip()})
    if not settings.token:
        raise CliError("no token was given", WRONG_INPUT)
    person = client(settings, source).get("/v1/me")
    path = keep(settings.url, settings.token, person["name"])
    print_result(person, f"{person['name']}, {person['role']} of {person['side']}; in {path}", as_json=as_json)
    if environment().token:
        err.print("MINKA_TOKEN is set and takes precedence")


def _at_provider(paste: bool | None) -> bool:
    return sys.stdin.isatty() if paste is None else not paste


def _signed_in(settings: Settings, *, must: bool) -> str:
    """The token of a person who signs in at the API's identity provider; empty if the API has none."""
    from controller.cli.signin import device_token  # noqa: PLC0415 - only for this
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    try:
        provider = client(settings).get("/v1/login/device")
    except CliError as error:
        if must or error.problem.get("status") != 404:
            raise
        return ""
    return device_token(provider["issuer"], provider["client_id"], SystemClock(), _show_code)


def _show_code(address: str, code: str) -> None:
    err.print(f"Open {address} and sign in; the code is", bold(code))


def whoami(as_json: Json = False) -> None:
    """Show who you are to the API: role, side, what your token opens, and when it ends."""
    print_answer(client().get("/v1/me"), _print_caller, as_json=as_json)


def _print_caller(me: dict[str, Any]) -> None:
    out.print(bold(me["name"]), f"({me['role']} of {me['side']})")
    out.print(f"may: {', '.join(me['permissions']) or 'nothing'}")
    out.print(f"the token ends {when(me['ends'])}" if me["ends"] else "no end of the token is known here")


def logout(as_json: Json = False) -> None:
    """Forget the token of `minka login`; the API then accepts it no longer if it is a provider's token."""
    settings = environment()
    gone = forget(settings.url)
    if gone is not None:
        _sign_out(settings.model_copy(update={"token": gone.token}))
    words = f"nobody is signed in at {settings.url}" if gone is None else f"{gone.name} is signed out of {settings.url}"
    print_result({"api": settings.url, "forgotten": gone and gone.name}, words, as_json=as_json)
    if settings.token:
        err.print("MINKA_TOKEN is set and stays in use")


def _sign_out(settings: Settings) -> None:
    try:
        client(settings, "minka login").delete("/v1/login")
    except CliError as error:
        err.print(f"the API was not informed, so a provider's token stays valid until it expires: {error}")


def _change(name: str, *, as_json: bool, **values: Any) -> None:
    api = client()
    known = next((user for user in api.all("/v1/users") if user["name"] == name), None)
    if known is None:
        raise CliError(NotFoundError.of("user", name).message, WRONG_INPUT)
    now = {"role": known["role"], "tenant": known["tenant"], "disabled": known["disabled"] is not None}
    _print_user(api.put(f"/v1/users/{name}", now | values), as_json=as_json)


def _print_user(user: dict[str, Any], *, as_json: bool) -> None:
    state = ", disabled" if user["disabled"] else ""
    words = f"{user['name']} is {user['role']} of {user['tenant'] or 'the host'}{state}"
    print_result(user, words, as_json=as_json)


def _print_secret(issued: dict[str, Any]) -> None:
    """Print the secret alone on standard output, for scripts, and the rest on standard error."""
    token = issued["token"]
    err.print(f"token {token['id']} of {token['owner']}, ends {when(token['expires'])}; it is not shown again:")
    out.print(issued["secret"])
