"""Who may ask: the bearer token, the Host check on loopback, and the rule which request needs what."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from controller.api.errors import ApiError
from controller.api.problems import Problem

# The kubelet's probes carry no token.
HEALTH_PATHS = frozenset({"/livez", "/readyz"})
_READS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


def is_loopback(host: str) -> bool:
    """Whether a host, without a port, can only be this machine: localhost or a loopback address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class TokenFile:
    """The token in a file, read again whenever the file is another one (a mounted secret is swapped)."""

    path: Path
    _seen: tuple[int, int, int] | None = field(default=None, init=False)
    _token: bytes = field(default=b"", init=False)

    def token(self) -> bytes:
        """The token of now. Raises ApiError when the file can't be read or does not hold one token."""
        try:
            status = self.path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._token = self._read()
                self._seen = seen
        except OSError as error:
            raise ApiError(f"api.token_file: {self.path}: can't be read: {error.strerror}") from error
        return self._token

    def _read(self) -> bytes:
        words = self.path.read_bytes().split()
        if len(words) != 1:
            what = "is empty" if not words else "holds more than one word"
            raise ApiError(f"api.token_file: {self.path}: {what}; write one token into it")
        return words[0]


@dataclass(frozen=True)
class Guard:
    """Lets a request pass or raises the problem it is answered with.

    On loopback reads are open and a write needs the token; anywhere else all but health needs it.
    """

    loopback: bool
    token_file: TokenFile | None

    def check(self, request: web.Request) -> None:
        """Raises Problem 401, 403, or 503 when the token file can't be used."""
        if self.loopback:
            self._check_host(request)
        if self._is_open(request):
            return
        if self.token_file is None:
            raise Problem(
                403,
                "writes are off: no token is set; write one into a file, name it as api.token_file in the "
                "configuration and start the agent again",
            )
        try:
            token = self.token_file.token()
        except ApiError as error:
            raise Problem(503, str(error)) from error
        self._check_token(request, token)

    def _is_open(self, request: web.Request) -> bool:
        if request.path in HEALTH_PATHS and request.method in _READS:
            return True
        # A wrong path or method is told as such to anybody who could read the list of the right ones.
        return self.loopback and (request.method in _READS or request.match_info.http_exception is not None)

    @staticmethod
    def _check_host(request: web.Request) -> None:
        # A page whose DNS name was rebound to 127.0.0.1 reads as of one origin, but sends that name.
        host = request.headers.get(hdrs.HOST, "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name):
            raise Problem(
                403, f"Host is {host!r}; this agent answers on loopback only, as localhost or 127.0.0.1"
            )

    @staticmethod
    def _check_token(request: web.Request, token: bytes) -> None:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer":
            raise Problem(
                401,
                "this needs 'Authorization: Bearer TOKEN'",
                headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="quotapilot"'},
            )
        if not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token):
            raise Problem(
                401,
                "the token is not the one in api.token_file",
                headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="quotapilot", error="invalid_token"'},
            )


def guarding(guard: Guard) -> Middleware:
    """The middleware that asks the guard first."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        guard.check(request)
        return await handler(request)

    return guarded
