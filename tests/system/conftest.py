"""What the tests on real kernels share."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest

from tests.system.kernel import uml


@pytest.fixture(scope="session")
def v2_kernel() -> Path:
    """User-mode Linux with cgroup v2, for `run_in_uml`; the first use on a machine builds it, in minutes."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("user-mode Linux runs on Linux on x86_64 only")
    if os.geteuid() != 0:
        pytest.skip("not root: user-mode Linux is run in a PID namespace of its own")
    if shutil.which("apt-get") is None:
        pytest.skip("no apt here: the kernel is built from Debian's source package")
    return uml.kernel()
