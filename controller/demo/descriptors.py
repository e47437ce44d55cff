"""Room for thousands of connections in one process."""

from __future__ import annotations

import resource


def allow_many_connections() -> None:
    """Raise our own limit of open files as far as allowed: each waiting request holds a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
