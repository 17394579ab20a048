"""Access control of the viewer: token, sign-in, Host header and security headers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gtn_nas.errors import ConfigError
from gtn_nas.report.page import policy
from gtn_nas.viewer.pages import sign_in_page

VARIABLE = "GTN_NAS_TOKEN"
LEAST_CHARACTERS = 16
"""Shortest token that a user may set; a shorter one could be guessed."""

SIGN_IN = "/sign-in"
MOST_BYTES = 4096
"""Longest body of a sign-in request."""

HEADERS = {
    "Content-Security-Policy": policy(live=True),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_for(host: str) -> tuple[str | None, bool]:
    """Return the token that visitors need, if any, and whether it was newly generated.

    The token is the value of the environment variable ``GTN_NAS_TOKEN``, if that is set. Else one
    is generated, unless only this machine can reach ``host``.

    Raises:
        ConfigError: the variable's token is too short.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if len(given) < LEAST_CHARACTERS:
            raise ConfigError(
                f"{VARIABLE} is shorter than {LEAST_CHARACTERS} characters; make one with "
                "`openssl rand -hex 32`"
            )
        return given, False
    return (None, False) if is_loopback(host) else (secrets.token_urlsafe(32), True)


@dataclass(frozen=True)
class Names:
    """The allowed values of the Host header, as a protection against DNS rebinding.

    An attacker can make the name of their web site resolve to this server. A visitor's browser then
    still sends that name, which is refused here. A numeric address is no name that an attacker can
    make resolve to this server.

    Attributes:
        host: name or address that the server listens on.
    """

    host: str

    def knows(self, header: str) -> bool:
        """Tell whether a Host header is allowed; any port is, since a tunnel may change it."""
        try:
            parts = urlsplit(f"//{header}")
            name = parts.hostname or ""
        except ValueError:
            return False
        if parts.netloc != header or "@" in header:
            return False
        if is_loopback(name) or name == self.host.lower():
            return True
        if is_loopback(self.host):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in {socket.gethostname().lower(), socket.getfqdn().lower()}
        return True


class Guard:
    """ASGI middleware that passes allowed requests to the application, and answers the others.

    Args:
        app: the application.
        names: the allowed values of the Host header.
        token: the token that visitors need; ``None`` if they need none.
        port: the server's port, which keeps the cookies of two servers on one machine apart.
    """

    def __init__(self, app: ASGIApp, names: Names, token: str | None, port: int) -> None:
        self.app, self.names, self.token = app, names, token
        self.cookie = f"gtn_nas_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = await self._answer(request)
        await (answer or self.app)(scope, receive, send_safely)

    async def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request, or ``None`` if the application shall answer it."""
        if not self.names.knows(request.headers.get("host", "")):
            return PlainTextResponse("this server is not known by that name", 421)
        path = request.scope.get("raw_path", b"").lower()
        if any(encoded in path for encoded in (b"%2f", b"%5c", b"%00", b"\\")):
            return PlainTextResponse("a name holds no slash", 400)
        if request.scope["path"] == SIGN_IN and self.token is not None:
            return await self._sign_in(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("this server only shows", 405, {"Allow": "GET, HEAD"})
        if self.token is None or self._is_known(request):
            return None
        return sign_in_page("", 401)

    async def _sign_in(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return sign_in_page("", 200)
        if request.method != "POST":
            return PlainTextResponse("sign in with POST", 405, {"Allow": "GET, HEAD, POST"})
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("sign in from this server's own page", 403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return PlainTextResponse("too long", 413)
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        if not _equal(given, self.token or ""):
            return sign_in_page("That is not the token.", 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self.cookie,
            self._pass(),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _is_known(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return _equal(given.strip(), self.token or "")
        return _equal(request.cookies.get(self.cookie, ""), self._pass())

    def _pass(self) -> str:
        """Return the cookie's value: a hash of the token, which does not reveal it."""
        return hmac.new((self.token or "").encode(), b"gtn-nas cookie", "sha256").hexdigest()


def _equal(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that reveals nothing about them, not even their lengths."""
    one, other = (
        hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, wanted)
    )
    return bool(wanted) and hmac.compare_digest(one, other)
