"""A small identity provider on loopback: discovery, keys, and the code flow with PKCE, as OpenID Connect has them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import Key, RSAKey

CLIENT, SECRET = "minka", "a-secret-of-ours"


class IdentityProvider:
    """What the provider knows, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "one"}, private=True)]
        #: Who signs in next.
        self.claims: dict[str, Any] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.named_issuer: str | None = None
        self.keys_at = ""

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
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Sign somebody in at once: where the browser goes back to."""
        assert (query["client_id"], query["response_type"]) == (CLIENT, "code")
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})

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
            given = provider.exchange(form, self.headers.get("Authorization", ""))
            self._say(200 if given else 400, given or {"error": "invalid_grant"})

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
