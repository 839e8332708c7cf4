"""Variables of the environment: what means nothing is refused, by whatever command, and nothing is chosen silently."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from controller.cli.processes import _without_secrets
from controller.models.environment import OTHERS, check_environment
from controller.models.errors import InputError
from controller.models.settings import Settings
from tests.support.minka import minka

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MINKA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MINKA_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("role", ["api", "worker", "listener", "scheduler"])
def test_a_misspelt_setting_is_refused_by_name_and_no_database_is_made(role: str, tmp_path: Path) -> None:
    said = minka(role, env={"MINKA_DATABSE_URL": "postgresql://minka@db/minka"})
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "MINKA_DATABSE_URL is no setting of Minka: did you mean MINKA_DATABASE_URL?" in said.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("role", ["api", "worker", "listener", "scheduler"])
def test_a_process_that_is_started_alone_chooses_no_database(role: str, tmp_path: Path) -> None:
    said = minka(role)
    assert said.status == 2
    assert f"minka {role} needs MINKA_DATABASE_URL" in said.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("words", [("runs",), ("up",), ("audit", "new-key")])
def test_every_command_that_reads_settings_refuses_a_misspelt_one(words: tuple[str, ...]) -> None:
    said = minka(*words, env={"MINKA_API_PROT": "8471"})
    assert (said.status, "did you mean MINKA_API_PORT?" in said.err) == (2, True)


_FORMS = "right is postgresql://USER@HOST/DATABASE of a server, or sqlite:///PATH for a file on this machine"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://minka:secret@db/minka", "'mysql' is no database of Minka"),
        ("postgres://minka:secret@db/minka", "'postgres' is no database of Minka"),
        ("postgres:/db/minka", "it is no database of Minka"),
        ("sqlite3:///minka.sqlite3", "'sqlite3' is no database of Minka"),
        ("postgrseql://db/minka", "'postgrseql' is no database of Minka"),
        ("minka.sqlite3", "it is no database of Minka"),
        ("postgresql://minka:secret@db:x/minka", "is no address with a port from 1 to 65535"),
    ],
)
@pytest.mark.parametrize("words", [("api",), ("up",)])
def test_no_other_database_is_taken_for_postgresql(words: tuple[str, ...], url: str, reason: str) -> None:
    said = minka(*words, env={"MINKA_DATABASE_URL": url})
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "MINKA_DATABASE_URL" in said.err
    assert f"{reason}; {_FORMS}" in said.err
    assert "secret" not in said.err


@pytest.mark.parametrize("url", ["sqlite://", "sqlite://minka.sqlite3", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_of_sqlite_is_a_file(url: str) -> None:
    said = minka("worker", env={"MINKA_DATABASE_URL": url})
    assert (said.status, "names no file; right is sqlite:///PATH" in said.err) == (2, True)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/minka",
        "sqlite:///minka",
        "postgresql://minka@/m?host=a,b&port=5432,5432",
        "postgresql://minka@/m?host=a:5432&host=b:5432",
        "postgresql:///m",
    ],
)
def test_databases_of_minka(url: str) -> None:
    assert Settings(database_url=url).database == url


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("BROKER_URL", "redis://:12/hunter2@h", "write %2F for / and %40 for @ in it"),
        ("BROKER_URL", "sentinel://:x@a:1;sentinel://:1/hunter2@b:2", "write %2F for / and %40 for @ in it"),
        ("DATABASE_URL", "postgresql://minka:x@hunter2@h/minka", "write %2F for / and %40 for @ in it"),
        ("SYSLOG", "collector:514", "must begin with udp://, tcp://, tls://, as in tls://collector:6514"),
        ("SYSLOG", "udp://collector:99999", "is no address with a port from 1 to 65535; as in tls://collector:6514"),
        ("SYSLOG", "tls://:6514", "names no host, as in tls://collector:6514"),
        ("SYSLOG", "tcp://collector:0", "names no port, as in tls://collector:6514"),
        ("SYSLOG", "tcp://collector/minka", "has more than scheme, host and port"),
        ("SYSLOG", "tcp://ana@collector", "takes no user (nobody logs in there)"),
        ("MAIL_RELAY", "relay:25", "must begin with smtp://, starttls://, smtps://, as in starttls://user@relay:587"),
        ("MAIL_RELAY", "smtp://ana:hunter2@relay", "takes no password (set MINKA_MAIL_CREDENTIAL for the password)"),
        ("MAIL_CREDENTIAL", "hunter2", "not of the right form; Reference to the relay's password, as in env:NAME"),
        ("WEBHOOK_TOKEN", "hunter2", "not of the right form; Bearer token of alarm sources"),
        ("AUDIT_KEYS", "hunter2", "not of the right form; Keys of the audit trail, file:PATH or env:NAME"),
        ("MAIL_TO", "a@x.pe,b@x.pe", "'a@x.pe,b@x.pe' is no e-mail address; right is noc@bitel.example, and several"),
        ("MAIL_TO", "a@x.pe noc", "'noc' is no e-mail address"),
        ("MAIL_FROM", "a@x.pe b@x.pe", "names several senders; right is one address"),
        ("OIDC_ROLES", "noc", "'noc' is not group=role or group=role:tenant, as in noc=noc-engineer"),
        ("OIDC_ROLES", "noc=king", "the roles are host-viewer, noc-engineer"),
        ("OIDC_ROLES", "noc=noc-engineer:bitel", "noc-engineer is the host's: no tenant belongs to it"),
        ("OIDC_ROLES", "noc=tenant-viewer", "tenant-viewer is a tenant's: a tenant's id belongs behind it"),
        ("OIDC_ISSUER", "http://id.example.net", "is not an https address, as in https://id.example.net"),
        ("OIDC_ISSUER", "https://id.example.net", "MINKA_OIDC_CLIENT_ID must be set"),
        ("CALL_HOME", "0.0.0.0:65533", "needs a port from 1 to 65532"),
        ("ALERTMANAGER_URL", "http:// alertmanager", "not of the right form"),
    ],
)
def test_a_setting_of_another_form_is_refused_by_its_name_with_a_right_one(name: str, value: str, reason: str) -> None:
    said = minka("runs", env={f"MINKA_{name}": value})
    assert said.status == 2
    assert f"MINKA_{name}" in said.err
    assert reason in said.err
    assert "hunter2" not in said.err


def test_settings_of_the_right_form_are_taken() -> None:
    taken = {
        "broker_url": "sentinel://:hunter%2F2@a:26379;sentinel://:hunter2@b:26379/0",
        "database_url": "postgresql://minka:hunter%402@h/minka",
        "syslog": "udp://[::1]",
        "mail_relay": "starttls://ana%40noc@relay:587",
        "mail_to": "noc@bitel.example  root@localhost",
        "mail_from": "minka@localhost",
        "oidc_roles": "noc=noc-engineer ops=tenant-approver:bitel",
    }
    made = Settings.model_validate(taken)
    assert {name: getattr(made, name) for name in taken} == taken | {"mail_to": "noc@bitel.example root@localhost"}


def test_the_log_of_a_process_begins_with_what_it_works_with(capfd: pytest.CaptureFixture[str]) -> None:
    env = {"MINKA_DATABASE_URL": "postgresql://minka:secret@127.0.0.1:9/minka?password=secret", "MINKA_API_PORT": "0"}
    several = "host=db1:5432&host=db2&sslpassword=secret&target_session_attrs=read-write&host=%2Frun%2Fpg&port="
    with patch("controller.api.process.serve", side_effect=InputError("enough")):
        said = minka("api", env=env)
        more = minka("api", env=env | {"MINKA_DATABASE_URL": f"postgresql:///minka?{several}"})
    logged = (said.err + more.err + capfd.readouterr().err).splitlines()
    line, behind = (line for line in logged if "process.begun" in line)
    assert "secret" not in line + behind
    assert '"postgresql:///minka?host=db1:5432&host=db2&target_session_attrs=read-write&host=/run/pg"' in behind
    for part in ("version", '"postgresql://127.0.0.1:9/minka"', '"minka-spool://"', os.environ["MINKA_HOME"]):
        assert part in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sentinel://:hunter2@a:1;sentinel://:hunter2@b:2;sentinel://c", "sentinel://a:1;sentinel://b:2;sentinel://c"),
        ("redis://:12/hunter2@h", "redis://h"),
        ("redis://:12;hunter2@h:1/0", "redis://h:1/0"),
        ("redis://:12#hunter2@h,[::1]:2", "redis://h,[::1]:2"),
        ("rediss://minka:hunter2@[fd00::1]:6379/0?password=hunter2", "rediss://[fd00::1]:6379/0"),
        ("unix://:hunter2@/run/redis.sock", "unix:///run/redis.sock"),
        ("postgresql://minka:12/hunter2@h/db", "postgresql://h/db"),
        ("postgresql://minka:12@hunter2@h/db", "postgresql://h/db"),
        ("postgresql://minka:12?hunter2@h/db", ""),
        ("postgresql://minka:12?host=hunter2@h/db", ""),
        ("postgresql://minka@h/db?password=12@hunter2", ""),
        ("postgresql://minka:12#hunter2", ""),
        ("redis://:hunter2", ""),
        ("redis://minka:hunter2;redis://h", ""),
        ("redis:hunter2@h", ""),
        ("sqlite:////srv/ana's files/minka.sqlite3", "sqlite:////srv/ana's files/minka.sqlite3"),
    ],
)
def test_a_log_shows_of_a_url_what_is_no_password_for_sure(url: str, shown: str) -> None:
    assert _without_secrets(url) == shown


def test_what_kubernetes_sets_for_services_and_what_secrets_are_called_is_no_mistake() -> None:
    environment = {
        **dict.fromkeys(("MINKA_SERVICE_HOST", "MINKA_SERVICE_PORT", "MINKA_SERVICE_PORT_HTTP", "MINKA_PORT"), "x"),
        **dict.fromkeys(("MINKA_PORT_8470_TCP", "MINKA_PORT_8470_TCP_PROTO", "MINKA_PORT_8470_TCP_ADDR"), "x"),
        **dict.fromkeys(("MINKA_WEB_SERVICE_HOST", "MINKA_WEB_SERVICE_PORT", "MINKA_WEB_PORT_80_TCP_PORT"), "x"),
        **dict.fromkeys(OTHERS, "x"),
        **{f"MINKA_{name.upper()}": "x" for name in Settings.model_fields},
        "MINKA_SECRET_OF_OURS": "x",
        "OTHER": "x",
    }
    check_environment(environment, ["env:MINKA_SECRET_OF_OURS", "file:/x"])
    for wrong in ("MINKA_API_SERVICE_PORT", "MINKA_SECRET_OF_THEIRS", "MINKA_PORT_8470_TCP_X", "minka_databse_url"):
        with pytest.raises(InputError, match=wrong):
            check_environment({**environment, wrong: "x"}, ["env:MINKA_SECRET_OF_OURS"])


def test_secrets_that_the_file_of_credentials_refers_to_are_known(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text("credentials:\n  lab: {reference: 'env:MINKA_LAB', networks: [10.0.0.0/8]}\n", encoding="utf-8")
    env = {"MINKA_LAB": "x", "MINKA_CREDENTIALS": str(file), "MINKA_DEVICE_PASSWORD": "x"}
    assert "needs MINKA_DATABASE_URL" in minka("worker", env=env).err
    assert "MINKA_LABB is no setting" in minka("worker", env={**env, "MINKA_LABB": "x"}).err
    assert "MINKA_LAB is no setting" in minka("worker", env={"MINKA_LAB": "x"}).err


def test_a_service_called_minka_api_changes_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_API_PORT", "tcp://10.96.0.7:8470")
    assert Settings().api_port == 8470


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:8470"), ("127.0.0.1", "http://127.0.0.1:8470")])
def test_the_api_is_found_at_any_kind_of_address(host: str, url: str) -> None:
    assert Settings(api_host=host).url == url


def test_every_variable_that_is_no_setting_is_documented() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    assert {name for name in OTHERS if name not in text} == set()
