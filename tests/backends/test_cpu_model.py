"""The CPU's name: what was learnt on one is not used on another."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from backends.cgroup.host import cpu_model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nmodel name\t: A: B @ 2GHz\n\nprocessor\t: 1\nmodel name\t: C\n", "A: B @ 2GHz"),
        ("processor\t: 0\nCPU implementer\t: 0x41\n", platform.machine()),
        ("", platform.machine()),
    ],
)
def test_it_is_that_of_the_first_cpu(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert cpu_model(file) == expected


def test_without_the_file_it_is_the_architecture(tmp_path: Path) -> None:
    assert cpu_model(tmp_path / "none") == platform.machine()
