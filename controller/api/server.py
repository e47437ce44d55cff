"""Serving the API on an address: sockets, TLS, start and stop."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from controller.api.app import create_app
from controller.api.auth import Guard, TokenFile, is_loopback
from controller.api.errors import ApiError
from controller.api.facade import Agent
from controller.config import ApiConfig

SHUTDOWN_SECONDS = 5.0
KEEPALIVE_SECONDS = 75.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API answers: the real port, also when the configuration left it to the system."""

    host: str
    port: int
    tls: bool

    @property
    def url(self) -> str:
        """The address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@asynccontextmanager
async def serve(agent: Agent, config: ApiConfig) -> AsyncIterator[Address]:
    """Serve the API while the context is open; event streams are ended with it.

    Raises ApiError when the address can't be had, or the token or TLS files can't be used.
    """
    guard = _guard(config)
    tls = _tls(config)
    runner = web.AppRunner(
        create_app(agent, guard),
        handle_signals=False,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, config.host, config.port, ssl_context=tls).start()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ApiError(f"api: can't listen on {config.host} port {config.port}: {reason}") from error
        host, port = runner.addresses[0][:2]
        yield Address(host, port, tls is not None)
    finally:
        await runner.cleanup()


def _guard(config: ApiConfig) -> Guard:
    loopback = is_loopback(config.host)
    if not loopback and not (config.token_file and config.tls_cert and config.tls_key):
        raise ApiError(f"api.host: {config.host} is not loopback: set token_file, tls_cert and tls_key")
    token_file = TokenFile(Path(config.token_file)) if config.token_file else None
    if token_file is not None:
        token_file.token()
    return Guard(loopback, token_file)


def _tls(config: ApiConfig) -> ssl.SSLContext | None:
    if not config.tls_cert and not config.tls_key:
        return None
    if not (config.tls_cert and config.tls_key):
        raise ApiError("api: tls_cert and tls_key go together: set both, or neither")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ApiError(
            f"api: {config.tls_cert}, {config.tls_key}: can't be used for TLS: {reason}"
        ) from error
    return context
