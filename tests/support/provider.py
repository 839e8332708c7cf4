"""A small identity provider on loopback: discovery, keys, and the code flow with PKCE, as OpenID Connect has them.

And the device flow of RFC 8628, for a public client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import Key, RSAKey

CLIENT, SECRET = "minka", "a-secret-of-ours"
DEVICE_CLIENT, USER_CODE = "minka-cli", "WDJB-MJHT"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class IdentityProvider:
    """The provider's people and clients, and the requests that it got."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "one"}, private=True)]
        #: Who signs in next.
        self.claims: dict[str, Any] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.named_issuer: str | None = None
        self.keys_at = ""
        #: What is answered to whoever asks for a device's token, in turn: an error, None for no answer at all; then a
        #: token.
        self.pending: list[str | None] = []
        self.device: dict[str, Any] = {"interval": 1, "expires_in": 600}
        self.device_codes: set[str] = set()

    def token(self, *, key: Key | None = None, alg: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
        """A signed token; a claim that is None is left out."""
        now = int(time.time())
        content = {"iss": self.url, "aud": CLIENT, "sub": "u-1", "iat": now, "exp": now + 300} | self.claims | claims
        content = {name: value for name, value in content.items() if value is not None}
        header = {"alg": alg} | ({} if kid is None else {"kid": kid})
        return jwt.encode(header, content, key or self.keys[0], algorithms=[alg])

    def discovery(self) -> dict[str, Any]:
        """The provider's own description."""
        return {
            "issuer": self.named_issuer or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": self.keys_at or f"{self.url}/keys",
            "device_authorization_endpoint": f"{self.url}/device",
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Sign a person in at once; returns where the browser is sent back to."""
        assert (query["client_id"], query["response_type"]) == (CLIENT, "code")
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})

    def post(self, path: str, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The answer to a form; None for no answer."""
        if path == "/device":
            return self.begin_device(form)
        if form.get("grant_type") == DEVICE_GRANT:
            return self.device_token(form)
        return self.exchange(form, authorization) or {"error": "invalid_grant"}

    def begin_device(self, form: dict[str, str]) -> dict[str, Any]:
        """Codes for a device (RFC 8628 §3.2)."""
        if form.get("client_id") != DEVICE_CLIENT or "openid" not in form.get("scope", "").split():
            return {"error": "invalid_client"}
        code = secrets.token_urlsafe(8)
        self.device_codes.add(code)
        return {"device_code": code, "user_code": USER_CODE, "verification_uri": f"{self.url}/activate"} | self.device

    def device_token(self, form: dict[str, str]) -> dict[str, Any] | None:
        """A token for a device once it was not to wait any more (§3.4, §3.5); None where it is not answered at all."""
        if form.get("client_id") != DEVICE_CLIENT or form.get("device_code") not in self.device_codes:
            return {"error": "invalid_grant"}
        error = self.pending.pop(0) if self.pending else ""
        if error is None:
            return None
        if error:
            return {"error": error}
        self.device_codes.discard(form["device_code"])
        return {"token_type": "Bearer", "access_token": "opaque", "id_token": self.token(aud=DEVICE_CLIENT)}

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Tokens for a code, once, for who began with it."""
        begun = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if begun is None or begun["code_challenge"] != challenge or authorization != basic:
            return None
        if form["redirect_uri"] != begun["redirect_uri"]:
            return None
        return {"token_type": "Bearer", "id_token": self.token(nonce=begun["nonce"])}


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """A provider on a free port."""
    provider = IdentityProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            provider.asked.append(asked.path)
            if asked.path == "/.well-known/openid-configuration":
                self._say(200, provider.discovery())
            elif asked.path == "/keys":
                self._say(200, {"keys": [key.as_dict(private=False) for key in provider.keys]})
            elif asked.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(asked.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.end_headers()
            else:
                self._say(404, {})

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            given = provider.post(self.path, form, self.headers.get("Authorization", ""))
            if given is not None:
                self._say(400 if "error" in given else 200, given)

        def _say(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def endless_provider() -> Iterator[tuple[str, list[int]]]:
    """Something that answers each request with a body without an end; its address, and the bytes that it sent."""
    sent: list[int] = [0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while sent[0] < 1 << 28:
                    self.wfile.write(b'{"issuer": "' + b"x" * 65536)
                    sent[0] += 65536

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()
        server.server_close()
