"""Rung 0 on the real kernel: cpu.idle is set where it can work, and gone however the agent ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.demo.playground import HIGH_SHARES, Branch, Playground
from controller.demo.scene import Scene
from tests.system.service import Service, busy

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]
NO_LIMIT = {"-1", "max"}
OWN_SHARES = "700"  # not the default, which taking cpu.idle away leaves


class Sliced(Playground):
    """As `Scene`, with the offline group in a slice of its own: no sibling of the online one."""

    def __init__(self) -> None:
        paths = ("/online", "/slice", "/slice/offline")
        super().__init__((*map(Branch, paths), Branch("/agent", HIGH_SHARES)))
        self.online, self.offline = f"{self.prefix}/online", f"{self.prefix}/slice/offline"
        self.agent = f"{self.prefix}/agent"


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with getattr(request, "param", Scene)() as scene:
        busy(scene)
        if scene.backend == "cgroup-v1":
            scene.cpu_file(scene.offline, "cpu.shares").write_text(OWN_SHARES)
        made = Service(scene, tmp_path, rung0={"actuator": "idle"})
        try:
            yield made
        finally:
            made.stop()


def idle(service: Service) -> bool:
    return service.scene.cpu_file(service.scene.offline, "cpu.idle").read_text().strip() == "1"


def as_found(service: Service) -> bool:
    scene = service.scene
    v1 = scene.backend == "cgroup-v1"
    weight = scene.cpu_file(scene.offline, "cpu.shares" if v1 else "cpu.weight").read_text().strip()
    return weight == (OWN_SHARES if v1 else "100") and not idle(service)


def test_a_sibling_gives_way_by_cpu_idle_and_has_its_weight_back_at_the_end(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: idle(service))
    service.wait(lambda: service.get("/api/v1/containers/batch")["cpu_weight"] == 0, 5)
    web = service.get("/api/v1/containers/web")
    assert web["state"] == "throttling-peer"
    assert [(claim["peer"], claim["rung"]) for claim in web["claims"]] == [("batch", "idle")]
    assert service.limit() in NO_LIMIT
    newest = service.get("/api/v1/revisions")["items"][0]
    assert (newest["rung"], newest["new_weight"], newest["result"]) == ("idle", 0, "applied")
    assert service.signal(signal.SIGTERM) == 0
    assert as_found(service)


def test_killed_in_the_middle_the_next_start_gives_the_weight_back(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: idle(service))
    service.signal(signal.SIGKILL)
    assert idle(service)
    service.start()
    service.wait(lambda: as_found(service), 20)
    assert "an earlier agent left" in service.log()


def test_restore_without_an_agent_gives_the_weight_back(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: idle(service))
    service.signal(signal.SIGKILL)
    done = service.run("restore", "--config", str(service.config_file))
    assert done.returncode == 0, done.stderr
    assert service.scene.offline in done.stdout
    assert as_found(service)


@pytest.mark.parametrize("service", [Sliced], indirect=True)
def test_a_peer_in_another_slice_is_cut_by_quota(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: service.limit() not in NO_LIMIT)
    assert not idle(service)
    assert {item["rung"] for item in service.get("/api/v1/revisions")["items"]} == {"quota"}
    assert service.signal(signal.SIGTERM) == 0
    assert service.limit() in NO_LIMIT
    assert as_found(service)
