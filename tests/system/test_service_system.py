"""The service on the real kernel: what it leaves behind however it ends, and what it takes on the way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.demo.scene import Scene
from tests.system.service import Service, busy

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]
NO_LIMIT = {"-1", "max"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Scene() as scene:
        busy(scene)
        made = Service(scene, tmp_path)
        try:
            yield made
        finally:
            made.stop()


def held(service: Service) -> bool:
    return service.limit() not in NO_LIMIT


def free(service: Service) -> bool:
    return not held(service)


def test_it_cuts_and_gives_back_when_asked_to_stop(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: held(service))
    states = service.get("/api/v1/containers/web")
    assert states["state"] == "throttling-peer"
    assert states["claims"][0]["peer"] == "batch"
    assert service.get("/api/v1/containers/batch")["holds"][0]["victim"] == "web"
    assert service.signal(signal.SIGTERM) == 0
    assert free(service)


def test_killed_in_the_middle_it_gives_back_at_the_next_start(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: held(service))
    service.signal(signal.SIGKILL)
    assert held(service)
    began = time.monotonic()
    service.start()
    service.wait(lambda: free(service), 20)
    print(f"given back {time.monotonic() - began:.2f} s after the start")
    assert "an earlier agent left a limit or weight" in service.log()


def test_killed_in_the_middle_restore_gives_back_without_an_agent(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: held(service))
    service.signal(signal.SIGKILL)
    done = service.run("restore", "--config", str(service.config_file))
    assert done.returncode == 0, done.stderr
    assert service.scene.offline in done.stdout
    assert free(service)
    again = service.run("restore", "--config", str(service.config_file))
    assert "nothing was held" in again.stdout


def test_restore_goes_through_the_agent_that_runs(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: held(service))
    arguments = ("restore", "--config", str(service.config_file), "--url", service.url)
    done = service.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "batch" in done.stdout


def test_dry_run_tells_and_writes_nothing(service: Service) -> None:
    service.start("--dry-run")
    service.hurt_until(lambda: bool(service.get("/api/v1/revisions")["items"]))
    assert service.get("/api/v1/revisions")["items"][0]["result"] == "dry-run"
    assert free(service)
    assert service.get("/api/v1/node")["mode"] == "dry-run"
    assert not (service.directory / "run").exists()
    service.hurt_until(lambda: service.get("/api/v1/node")["shadow"]["violation_minutes"] > 0)
    assert "violation minutes" in service.run("status", "--url", service.url).stdout
    assert service.signal(signal.SIGTERM) == 0
    assert "dry run of" in service.log(), "what it was worth is printed at the end"


def test_what_it_saw_is_recorded_and_replayed_exactly(service: Service) -> None:
    file = service.directory / "run.rec.gz"
    service.start("--record", str(file))
    service.hurt_until(lambda: held(service))
    assert service.signal(signal.SIGINT) == 0
    assert free(service)
    done = service.run("replay", str(file))
    assert done.returncode == 0, done.stderr
    assert "pressured -> throttling-peer" in done.stdout
    assert "decided the same in every tick" in done.stdout


def test_record_writes_no_limit_and_ends_in_time(service: Service) -> None:
    file = service.directory / "seen.rec.gz"
    arguments = ("record", str(file), "--seconds", "4", "--config", str(service.config_file))
    done = service.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert f"ticks in {file}" in done.stdout
    assert free(service)
    replayed = json.loads(service.run("replay", str(file), "--json").stdout)
    assert replayed["ticks_decided_otherwise"] == 0
    assert replayed["ticks"] >= 8
    again = service.run(*arguments)
    assert again.returncode == 1
    assert again.stderr == f"quotapilot: {file}: exists; name another file\n"


def test_a_second_agent_is_refused(service: Service) -> None:
    service.start()
    service.wait(lambda: bool(service.get("/api/v1/containers")["items"]))
    done = service.run("run", "--config", str(service.config_file))
    assert done.returncode == 1
    assert "another quotapilot runs on this node" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_changed_file_is_taken_over_and_a_bad_one_refused(service: Service) -> None:
    service.start()
    service.wait(lambda: bool(service.get("/api/v1/containers")["items"]))
    service.config["control"] = {"gain": 0.5}
    service.write_config()
    service.wait(lambda: service.get("/api/v1/config")["control"]["gain"] == 0.5, 10)
    service.config_file.write_text("control:\n  gian: 0.7\n")
    service.wait(lambda: service.get("/api/v1/node")["config_problem"] is not None, 10)
    assert "config.yaml:2: control.gian: unknown key" in service.get("/api/v1/node")["config_problem"]
    assert service.get("/api/v1/config")["control"]["gain"] == 0.5
    service.config["control"] = {"gain": 0.6}
    service.write_config()
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: service.get("/api/v1/config")["control"]["gain"] == 0.6, 10)
    assert service.get("/api/v1/node")["config_problem"] is None


def test_operators_freeze_keeps_everything_as_it_is(service: Service) -> None:
    service.start()
    service.hurt_until(lambda: held(service))
    service.post("/api/v1/freeze", {"reason": "a test"})
    service.wait(lambda: service.get("/api/v1/containers/web")["state"] == "frozen-node", 10)
    kept = service.limit()
    for _ in range(10):
        service.hurt()
        time.sleep(0.2)
    assert service.limit() == kept
    assert service.signal(signal.SIGTERM) == 0
    assert free(service)


def test_containers_come_and_go_within_a_second(service: Service) -> None:
    service.config["discovery"]["static"].append(
        {"name": "late", "cgroup": f"{service.scene.prefix}/late*", "tier": "offline"}
    )
    service.write_config()
    service.start()
    service.wait(lambda: len(service.get("/api/v1/containers")["items"]) == 2)
    group = service.scene.cpu_file(f"{service.scene.prefix}/late1", "")
    try:
        group.mkdir()
        service.wait(lambda: len(service.get("/api/v1/containers")["items"]) == 3, 10)
        ids = [shown["id"] for shown in service.get("/api/v1/containers")["items"]]
        assert "late-1" in ids
    finally:
        group.rmdir()
    service.wait(lambda: len(service.get("/api/v1/containers")["items"]) == 2, 10)


def test_status_shows_the_containers(service: Service) -> None:
    service.start()
    service.wait(lambda: len(service.get("/api/v1/containers")["items"]) == 2)
    shown = service.run("status", "--url", service.url)
    assert shown.returncode == 0, shown.stderr
    assert "web" in shown.stdout
    assert "batch" in shown.stdout
    as_json = json.loads(service.run("status", "--url", service.url, "--json").stdout)
    assert {container["id"] for container in as_json["containers"]} == {"web", "batch"}
    service.signal(signal.SIGTERM)
    gone = service.run("status", "--url", service.url)
    assert gone.returncode == 1
    assert "is `quotapilot run` running?" in gone.stderr
    assert gone.stderr.count("\n") == 1
