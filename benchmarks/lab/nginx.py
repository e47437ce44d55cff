"""nginx as an online service: every request is a new TLS connection and a page that is compressed on the way.

Handshakes (RSA, 2048 bits) and gzip are where such a server's CPU time goes, and neither is our own code.
"""

from __future__ import annotations

import random
import shutil
import ssl
import subprocess
import urllib.request
from pathlib import Path

from controller.demo.crew import Crew
from controller.demo.ports import free_port

PACKAGE = "nginx"
_KEY_BITS = 2048
_PAGE_WORDS = 16_000
_WORKERS = 8

_CONFIGURATION = """
daemon off;
worker_processes {workers};
pid {directory}/pid;
error_log stderr;
user root;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/temp;
    proxy_temp_path {directory}/temp;
    fastcgi_temp_path {directory}/temp;
    uwsgi_temp_path {directory}/temp;
    scgi_temp_path {directory}/temp;
    ssl_session_cache off;
    ssl_session_tickets off;
    gzip on;
    gzip_types text/plain;
    gzip_comp_level 9;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {directory}/certificate.pem;
        ssl_certificate_key {directory}/key.pem;
        default_type text/plain;
        root {directory}/pages;
    }}
}}
"""


def is_installed() -> bool:
    """Whether there is an nginx to run."""
    return shutil.which("nginx") is not None


def certificate_of(crew: Crew, name: str) -> Path:
    """Where the certificate of a started nginx is, for its clients to trust."""
    return crew.file(name) / "certificate.pem"


def start_nginx(crew: Crew, name: str, group: str) -> str:
    """Start nginx in a group and wait until it answers; the URL of the page. Raises ActFailed."""
    directory, port = crew.file(name), free_port()
    (directory / "pages").mkdir(parents=True)
    words = random.Random(1)
    page = " ".join(str(words.randrange(100_000)) for _ in range(_PAGE_WORDS))
    (directory / "pages" / "work").write_text(page)
    _make_certificate(directory)
    configuration = directory / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(directory=directory, port=port, workers=_WORKERS))
    crew.start(name, group, "nginx", "-e", "stderr", "-c", str(configuration))
    crew.await_file(name, directory / "pid")
    return f"https://127.0.0.1:{port}/work"


def fetch(url: str, certificate: Path) -> bytes:
    """The page over a connection of its own, still compressed. Raises OSError."""
    context = ssl.create_default_context(cafile=str(certificate))
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        page: bytes = answer.read()
        return page


def _make_certificate(directory: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", f"rsa:{_KEY_BITS}", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )
