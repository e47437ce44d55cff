"""Asking a running agent, for the commands. Every failure is one line."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp

from controller.api.errors import ApiError

TIMEOUT_SECONDS = 10.0


async def get(url: str, path: str, *, token: str | None = None, tls: ssl.SSLContext | None = None) -> Any:
    """The JSON at a path of the agent at `url`. Raises ApiError.

    `token` is needed where the agent answers on another address than loopback; `tls` where its certificate
    is not one that the system trusts.
    """
    return await _ask("GET", url, path, None, token, tls)


async def post(
    url: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> Any:
    """Send a body (None: none) to a path of the agent at `url`; its JSON answer, if any. Raises ApiError."""
    return await _ask("POST", url, path, body, token, tls)


async def _ask(
    method: str, url: str, path: str, body: Any, token: str | None, tls: ssl.SSLContext | None
) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    target = url.rstrip("/") + path
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(
                method, target, json=body, ssl=tls if tls is not None else True, allow_redirects=False
            ) as response,
        ):
            return await _answer(response, target)
    except aiohttp.InvalidURL as error:
        raise ApiError(f"{url}: is not a URL; write http://HOST:PORT") from error
    except aiohttp.ClientSSLError as error:
        raise ApiError(f"{url}: no trusted TLS connection: {_one_line(str(error))}") from error
    except aiohttp.ClientConnectorError as error:
        raise ApiError(f"no agent answers at {url}: is `quotapilot run` running?") from error
    except TimeoutError as error:
        raise ApiError(f"the agent at {url} did not answer within {TIMEOUT_SECONDS:g} s") from error
    except aiohttp.ClientError as error:
        raise ApiError(f"{target}: {_one_line(str(error))}") from error


async def _answer(response: aiohttp.ClientResponse, target: str) -> Any:
    if response.status == 204:
        return None
    try:
        document = await response.json(content_type=None)
    except ValueError:
        raise ApiError(
            f"{target}: answered {response.status}, but not with JSON: is this quotapilot?"
        ) from None
    if response.status < 400:
        return document
    raise ApiError(_problem_line(response.status, document))


def _problem_line(status: int, document: Any) -> str:
    problem = document if isinstance(document, dict) else {}
    detail = problem.get("detail") or problem.get("title") or "no reason was given"
    errors = problem.get("errors") or []
    return _one_line(
        f"the agent refused ({status}): {': '.join([detail, '; '.join(errors)]) if errors else detail}"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
