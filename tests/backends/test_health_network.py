"""Links and routes of a real kernel, in a network namespace made for the test."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

# Run inside the namespace, where /sys/class/net is its own: the faults at first, and after each command. The
# kernel tells of a carrier a little after the command that changed it, so each is given a moment to show.
SCRIPT = """
import pathlib, subprocess, sys, time
from backends.health import HealthSettings, NodeHealth

def states():
    return {file.read_text().strip() for file in pathlib.Path("/sys/class/net").glob("*/operstate")}

deadline = time.monotonic() + 5
while states() - {"up", "unknown"} and len(sys.argv) > 1 and time.monotonic() < deadline:
    time.sleep(0.05)
health = NodeHealth(HealthSettings(disk_paths=("/",), interval_seconds=0))
shown = health.check(0.0, 0.0, False)
print(shown)
for command in sys.argv[1:]:
    subprocess.run(["ip", *command.split()], check=True)
    deadline = time.monotonic() + 5
    while (now := health.check(0.0, 0.0, False)) == shown and time.monotonic() < deadline:
        time.sleep(0.05)
    shown = now
    print(shown)
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"quotapilot-test-{uuid.uuid4().hex[:8]}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace: {made.stderr}")
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def inside(namespace: str, *command: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *command],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return done.stdout


def test_links_and_routes_are_lost_and_come_back(namespace: str) -> None:
    # A veth has a carrier only while its other end is up, as a cable has.
    for command in (
        "link set lo up",
        "link add uplink type veth peer name veth-switch",
        "link set veth-switch up",
        "link set uplink up",
        "address add 192.0.2.2/24 dev uplink",
        "route add default via 192.0.2.1",
        "link add spare type veth peer name veth-socket",
        "link set veth-socket up",
        "link set spare up",
    ):
        inside(namespace, "ip", *command.split())
    lines = inside(
        namespace,
        *(sys.executable, "-c", SCRIPT),
        "route delete default",
        "route add default via 192.0.2.1",
        "link set veth-socket down",
        "link set veth-socket up",
        "link delete uplink",
    ).splitlines()
    assert lines == [
        "()",
        "('default-route-lost',)",
        "()",
        "('link-lost: spare',)",
        "()",
        "('link-lost: uplink', 'default-route-lost')",
    ]


def test_a_namespace_that_never_had_a_network_is_well(namespace: str) -> None:
    assert inside(namespace, sys.executable, "-c", SCRIPT).splitlines() == ["()"]
