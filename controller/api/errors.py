"""The one error that leaves this package towards a command."""

from __future__ import annotations


class ApiError(Exception):
    """The API can't be served, or the agent can't be asked. The text is one line for the operator."""
