"""Errors of libraries reach people in plain words, and never by the name of a Python class."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import socket
import ssl
from pathlib import Path

import asyncssh
import httpx
import paramiko
import pytest

import controller
from controller.models.errors import InputError, in_words


def _raised(error: BaseException, cause: BaseException | None) -> BaseException:
    try:
        raise error from cause
    except BaseException as found:
        return found


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 830)"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (FileNotFoundError(2, "No such file or directory", "/etc/secret"), "no such file or directory"),
        (TimeoutError(), "no answer in time"),
        (asyncio.IncompleteReadError(b"password", 9), "the connection ended"),
        (ConnectionResetError("Connection lost"), "connection reset error"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version"), "no TLS: it was refused"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "it is not UTF-8"),
        (json.JSONDecodeError("bad", "password", 0), "it is not of the expected form"),
        (KeyError("password"), "it is not of the expected form"),
        (InputError("the line is wrong"), "the line is wrong"),
        (_raised(httpx.ConnectError("x"), ConnectionRefusedError(111, "y")), "connection refused"),
        (_raised(OSError("all failed"), ExceptionGroup("all", [OSError(113, "z")])), "no route to host"),
        (httpx.RemoteProtocolError("Server disconnected"), "remote protocol error"),
        (asyncssh.ConnectionLost("lost"), "connection lost"),
        (paramiko.SSHException("no"), "SSH error"),
    ],
)
def test_an_error_is_named_by_what_it_means(error: BaseException, words: str) -> None:
    assert in_words(error) == words


def test_no_class_of_python_is_named_in_a_text() -> None:
    """Of errors, in all of the controller: logs for those who debug Minka may."""
    named = re.compile(r"type\((error|exc|e|chain\[-1\])\)|(error|exc)!r")
    found = []
    for path in Path(controller.__file__).parent.rglob("*.py"):
        text = path.read_text()
        # Most files hold nothing of the kind, in a text or elsewhere, and to parse them takes ten seconds.
        for node in ast.walk(ast.parse(text)) if named.search(text) else ():
            if isinstance(node, ast.JoinedStr):
                said = ast.get_source_segment(text, node) or ""
                if named.search(said):
                    found.append(f"{path.name}: {said}")
    assert not found
