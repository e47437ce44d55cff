"""Fixtures that tests of every room may use."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture
def cgroup_name() -> str:
    """A name for a cgroup of this test alone. .ci/run fails when a cgroup of such a name is left behind."""
    return f"quotapilot-test-{uuid.uuid4().hex[:12]}"
