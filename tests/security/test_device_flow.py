"""Signing in on the command line: the device flow of RFC 8628, and where its token is kept."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from controller.api.oidc import Provider
from controller.cli.client import FAILED, UNREACHABLE, WRONG_INPUT, CliError
from controller.cli.saved_tokens import SavedToken, forget, keep, kept, kept_file
from controller.cli.signin import device_token
from controller.models.errors import InputError
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from tests.support.minka import CommandResult, environment, minka
from tests.support.ports import free_ports
from tests.support.provider import (
    CLIENT,
    DEVICE_CLIENT,
    SECRET,
    USER_CODE,
    IdentityProvider,
    endless_provider,
    identity_provider,
)
from tests.unit.api.bench import ApiBench, open_bench

ROLES = "minka-noc=noc-engineer"


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        provider.claims = {"email": "eva@ipt.pe", "email_verified": True, "groups": ["minka-noc"]}
        yield provider


class Flow:
    """A sign-in in virtual time."""

    def __init__(self, idp: IdentityProvider) -> None:
        self.idp = idp
        self.clock = VirtualClock()
        self.shown: list[tuple[str, str]] = []

    def token(self, **answers: Any) -> str:
        self.idp.device |= answers
        return device_token(self.idp.url, DEVICE_CLIENT, self.clock, lambda *code: self.shown.append(code))

    def asked(self) -> int:
        return self.idp.asked.count("/token")


@pytest.fixture
def flow(idp: IdentityProvider) -> Flow:
    return Flow(idp)


def test_who_signs_in_elsewhere_is_waited_for(flow: Flow, idp: IdentityProvider) -> None:
    idp.pending = ["authorization_pending"] * 3
    assert flow.token(interval=7).count(".") == 2
    assert flow.shown == [(f"{idp.url}/activate", USER_CODE)]
    assert (flow.asked(), flow.clock.monotonic()) == (4, 28)


def test_the_address_with_the_code_in_it_is_shown_where_there_is_one(flow: Flow, idp: IdentityProvider) -> None:
    flow.token(verification_uri_complete=f"{idp.url}/activate?{USER_CODE}")
    assert flow.shown == [(f"{idp.url}/activate?{USER_CODE}", USER_CODE)]


def test_a_provider_that_is_asked_too_often_is_asked_less(flow: Flow, idp: IdentityProvider) -> None:
    idp.pending = ["slow_down", "authorization_pending", "slow_down"]
    flow.token(interval=2)
    assert flow.clock.monotonic() == 2 + 7 + 7 + 12


def test_without_an_interval_it_is_five_seconds_and_never_none(flow: Flow, idp: IdentityProvider) -> None:
    flow.token(interval=0)
    assert flow.clock.monotonic() == 1
    del idp.device["interval"]
    flow.token()
    assert flow.clock.monotonic() == 6


def test_a_provider_that_does_not_answer_is_asked_again_later(flow: Flow, idp: IdentityProvider) -> None:
    idp.pending = [None, None]
    assert flow.token(interval=1)
    assert flow.clock.monotonic() == 1 + 2 + 4


@pytest.mark.parametrize(
    ("error", "words", "status"),
    [
        ("access_denied", "refused at the identity provider", FAILED),
        ("expired_token", "before the code expired: run minka login again", FAILED),
        ("invalid_client", "the identity provider refuses: invalid_client", FAILED),
    ],
)
def test_a_no_ends_it(flow: Flow, idp: IdentityProvider, error: str, words: str, status: int) -> None:
    idp.pending = ["authorization_pending", error, "authorization_pending"]
    with pytest.raises(CliError, match=words) as refused:
        flow.token()
    assert (refused.value.status, flow.asked()) == (status, 2)


def test_an_answer_without_an_end_is_refused(flow: Flow) -> None:
    with endless_provider() as (address, sent):
        with pytest.raises(CliError, match="can't be reached"):
            device_token(address, DEVICE_CLIENT, flow.clock, lambda *_: None)
        assert sent[0] < 1 << 27


def test_a_code_that_nobody_uses_ends(flow: Flow, idp: IdentityProvider) -> None:
    idp.pending = ["authorization_pending"] * 100
    with pytest.raises(CliError, match="before the code expired"):
        flow.token(expires_in=31, interval=10)
    assert (flow.asked(), flow.clock.monotonic()) == (3, 30)


def test_a_provider_that_can_not_is_said_to(flow: Flow, idp: IdentityProvider) -> None:
    with pytest.raises(CliError, match="answers 400 at"):
        device_token(idp.url, "unknown", flow.clock, lambda *_: None)
    with pytest.raises(CliError, match="can't be reached: it is not of the expected form"):
        flow.token(expires_in="soon")
    described = idp.discovery()
    idp.discovery = lambda: described | {"issuer": "http://elsewhere"}  # type: ignore[method-assign]
    with pytest.raises(CliError, match="names another issuer than"):
        flow.token()
    idp.discovery = lambda: described | {"token_endpoint": "http://id.example.net/token"}  # type: ignore[method-assign]
    with pytest.raises(InputError, match="not an https address"):
        flow.token(expires_in=600)
    del described["device_authorization_endpoint"]
    idp.discovery = lambda: described  # type: ignore[method-assign]
    with pytest.raises(CliError, match="minka login --paste") as refused:
        flow.token()
    assert refused.value.status == WRONG_INPUT
    with pytest.raises(CliError, match="can't be reached") as refused:
        device_token("http://127.0.0.1:9", DEVICE_CLIENT, flow.clock, lambda *_: None)
    assert refused.value.status == UNREACHABLE


# ---------------------------------------------------------------- where it is kept


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "minka"


def test_tokens_are_the_users_alone_and_one_for_each_api(config: Path, idp: IdentityProvider) -> None:
    assert kept("https://one") is None
    path = keep("https://one", "minka_secret", "ana")
    assert keep("https://two", idp.token(exp=4_000_000_000), "eva") == path == kept_file()
    assert (path.stat().st_mode & 0o777, config.stat().st_mode & 0o777) == (0o600, 0o700)
    assert kept("https://one") == SavedToken("minka_secret", "ana", "")
    two = kept("https://two")
    assert two is not None
    assert two.source == "minka login (eva, until 2096-10-02 07:06 UTC)"
    assert forget("https://one") == SavedToken("minka_secret", "ana", "")
    assert (forget("https://one"), kept("https://two")) == (None, two)
    assert [one.name for one in config.iterdir()] == ["tokens.json"]


def test_a_relative_folder_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    assert kept_file() == Path.home() / ".config" / "minka" / "tokens.json"


@pytest.mark.parametrize("content", ["", "[]", '{"https://one": {}}', '{"https://one": 1}'])
def test_a_file_of_others_is_said_to_be_so(config: Path, content: str) -> None:
    config.mkdir(parents=True)
    (config / "tokens.json").write_text(content)
    with pytest.raises(InputError, match="remove it"):
        kept("https://one")


# -------------------------------------------------------------------------- the API


async def test_the_api_says_where(tmp_path: Path, idp: IdentityProvider) -> None:
    async with open_bench(tmp_path) as bench:
        assert (await bench.anonymous.get("/v1/login/device")).status_code == 404
        for secret, named, said in (
            ("", "", CLIENT),
            ("", DEVICE_CLIENT, DEVICE_CLIENT),
            (SECRET, DEVICE_CLIENT, DEVICE_CLIENT),
            (SECRET, "", None),
        ):
            believe(bench, idp, oidc_client_secret=secret, oidc_device_client_id=named)
            answer = await bench.anonymous.get("/v1/login/device")
            if said is None:
                assert (answer.status_code, "MINKA_OIDC_DEVICE_CLIENT_ID" in answer.json()["detail"]) == (404, True)
            else:
                assert answer.json() == {"issuer": idp.url, "client_id": said}
            token = {"Authorization": f"Bearer {idp.token(aud=DEVICE_CLIENT)}"}
            let_in = (await bench.anonymous.get("/v1/me", headers=token)).status_code
            assert let_in == (200 if said == DEVICE_CLIENT else 401)


def believe(bench: ApiBench, idp: IdentityProvider, **more: Any) -> None:
    """Configure the identity provider."""
    services = bench.app.state.services
    settings = Settings(
        home=services.settings.home, oidc_issuer=idp.url, oidc_client_id=CLIENT, oidc_roles=ROLES, **more
    )
    bench.app.state.services = replace(services, settings=settings, provider=Provider(settings, services.clock))


# ---------------------------------------------------------------------- the commands


@contextmanager
def served(bench: ApiBench, port: int) -> Iterator[None]:
    """The API on a port, when it answers there."""
    server = uvicorn.Server(uvicorn.Config(bench.app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


async def test_login_and_logout(tmp_path: Path, idp: IdentityProvider) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("token-of-ana\n")
    port = free_ports(1)
    variables = environment(tmp_path / "home", port, XDG_CONFIG_HOME=str(tmp_path / "config"))

    def run(*words: str, status: int = 0, given: str = "") -> CommandResult:
        said = minka(*words, env=variables, given=given)
        assert said.status == status, said
        return said

    async with open_bench(tmp_path) as bench:
        believe(bench, idp, oidc_client_secret=SECRET, oidc_device_client_id=DEVICE_CLIENT)
        with served(bench, port):
            idp.pending = ["authorization_pending"]
            done = run("login", "--device")
            assert f"Open {idp.url}/activate and sign in; the code is {USER_CODE}" in done.err
            assert "eva@ipt.pe, noc-engineer of host; in" in done.out
            (kept_in,) = (tmp_path / "config").rglob("*.json")
            assert kept_in.stat().st_mode & 0o777 == 0o600
            # It goes before the embedded controller's, which stays as it is.
            assert json.loads(run("token", "list", "--json", status=0).out) == []
            assert (tmp_path / "home" / "token").read_text() == "token-of-ana\n"
            idp.pending = ["access_denied"]
            assert "refused at the identity provider" in run("login", "--device", status=FAILED).err
            # What was piped in is read, as ever; one that is refused does not replace what is kept.
            assert "401" in run("login", "--json", status=WRONG_INPUT, given="guess\n").out
            content = json.loads(kept_in.read_text())
            (api,) = content
            assert content[api]["name"] == "eva@ipt.pe"
            content[api] = {"token": idp.token(exp=1), "name": "eva@ipt.pe", "ends": "1970-01-01 00:00 UTC"}
            kept_in.write_text(json.dumps(content))
            over = run("runs", status=WRONG_INPUT).err
            said = (
                "the token of minka login (eva@ipt.pe, until 1970-01-01 00:00 UTC) is not accepted: it is unknown, has"
            )
            assert said in " ".join(over.split())
            assert "eva@ipt.pe is signed out" in run("logout").out
            assert json.loads(run("logout", "--json").out)["forgotten"] is None
            assert [one["owner"] for one in json.loads(run("token", "list", "--json").out)] == ["ana"]
