"""Record and replay: the recorded agent's decisions come again, another configuration's are a dry run."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.recording.file import RecordingFile
from backends.recording.reader import Recording, RecordingError
from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller.cli import main
from controller.config import Config, dump, merge
from controller.engine import Engine
from controller.recording import AgentRecording, free_name
from controller.replay import replay
from controller.simulation import Loop
from models.container import CpuLimit
from models.learner import Learner
from tests.controller.policies import OFFLINE, ONLINE

SURGE = [(0.0, 25.0), (5.0, 100.0), (25.0, 25.0)]


def record(
    path: Path,
    until: float = 40.0,
    plain: bool = False,
    teach: Callable[[Learner], Learner] | None = None,
    **settings: Any,
) -> Loop:
    """A surge beside busy loops, recorded; with everything in it that a recording may hold, or `plain`."""
    node = SimulatedNode(2)
    node.add_group("/pod")
    service = OnlineService(poisson_arrivals(SURGE, until, seed=3), 0.013, threads=8)
    node.add_container("web", "/pod/web", service)
    node.add_container("batch", "/batch", Hogs(4))
    if not plain:
        node.add_container("short", "/short", Hogs(1))
    config = merge(Config(), settings)
    loop = Loop(node, {"web": ONLINE, "batch": OFFLINE, "short": OFFLINE}, config)
    recording = AgentRecording(path, config, node, "n1", 10**9)
    bare = loop.engine
    parts = recording.tapped(node, bare.discovery, bare.latencies, bare.health)
    loop.engine = Engine(config, *parts, loop.feed)
    loop.feed.on_record.append(recording.tell)
    if teach is not None:
        recording.learnt(teach(loop.engine.center.learner))

    def each_tick(now: float) -> None:
        recording.end_tick(loop.engine)
        if plain:
            return
        if now == 10.0:
            node.vanish("/short")
        if now == 12.0:
            node.write_from_outside("/batch", CpuLimit(150_000))
        if now == 15.0:
            recording.restored(now, loop.engine.wall_seconds, "by hand")
            loop.engine.restore_all("by hand", now, loop.engine.wall_seconds)
        if now == 17.0:
            loop.engine.reconfigure(merge(loop.engine.config, {"control": {"gain": 0.3}}))
        loop.health.reasons = ("disk full",) if 20.0 <= now < 21.0 else ()

    loop.run(until, each_tick)
    recording.close()
    assert recording.file.lost == 0
    return loop


def test_what_was_learnt_before_is_replayed_with_it(tmp_path: Path) -> None:
    def bold(learner: Learner) -> Learner:
        for error in (0.1, 1.0, 2.0):
            for _ in range(20):
                learner.reward("web", error, 2.0, 0.0)
                learner.reward("web", error, 1.0, -1.0)
        return learner

    settings = {"learner": {"enabled": True}, "rung0": {"actuator": "off"}}
    unlearnt = record(tmp_path / "unlearnt.gz", **settings)
    learnt = record(tmp_path / "learnt.gz", teach=bold, **settings)
    limits = [[write.limit.cores for write in loop.node.writes] for loop in (unlearnt, learnt)]
    assert limits[0][0] > limits[1][0], "what it knows makes a difference"
    assert replay(Recording(tmp_path / "learnt.gz")).differs == 0


def told(records: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(record.kind, record.data) for record in records if record.kind in ("transition", "revision")]


@pytest.mark.parametrize("dry_run", [False, True])
def test_own_recording_gives_the_same_decisions(tmp_path: Path, dry_run: bool) -> None:
    loop = record(tmp_path / "r.gz", dry_run=dry_run)
    made = sorted(loop.records("transition") + loop.records("revision"), key=lambda one: one.seq)
    done = replay(Recording(tmp_path / "r.gz"))
    again = [record for _, record in done.records]
    assert told(again) == told(made)
    assert {data.get("result") for kind, data in told(made)} > ({"dry-run"} if dry_run else {"applied"})
    assert done.exact
    assert done.differs == 0
    assert done.ticks == 160
    assert done.engine.containers == loop.engine.containers
    assert replay(Recording(tmp_path / "r.gz"), loop.config).differs == 0


def test_another_configuration_is_a_dry_run_with_its_own_decisions(tmp_path: Path) -> None:
    record(tmp_path / "r.gz", dry_run=True)
    rules = {"latency": {"threshold": 0.1, "clear_threshold": 0.05}}
    static = [{"name": "batch", "cgroup": "/batch", "floor": 0.7}]
    config = merge(Config(), {"rules": rules, "discovery": {"static": static}})
    done = replay(Recording(tmp_path / "r.gz"), config)
    assert not done.exact
    revisions = [record.data for _, record in done.records if record.kind == "revision"]
    assert {data["result"] for data in revisions} == {"dry-run"}
    assert (
        min(data["new_cores"] for data in revisions if data["container"] == "batch" and data["new_cores"])
        == 0.7
    )
    first = next(at for at, record in done.records if record.kind == "transition")
    default = replay(Recording(tmp_path / "r.gz"))
    assert first < next(at for at, record in default.records if record.kind == "transition")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.gz"
    record(file, dry_run=True)
    assert main(["replay", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "open loop" in shown
    assert "pressured -> throttling-peer" in shown
    assert "decided the same in every tick" in shown
    assert main(["replay", str(file), "--json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert as_json["ticks_decided_otherwise"] == 0
    assert {found["kind"] for found in as_json["records"]} >= {"transition", "revision"}


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.gz"
    record(file, until=10.0)
    whole = file.read_bytes()
    lines = gzip.decompress(whole).decode().splitlines()

    def said(content: bytes | list[str], *options: str) -> str:
        file.write_bytes(
            content if isinstance(content, bytes) else gzip.compress("\n".join(content).encode() + b"\n")
        )
        assert main(["replay", str(file), *options]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error.removeprefix("quotapilot: ").strip()

    def changed(number: int, **fields: Any) -> list[str]:
        line = json.loads(lines[number - 1]) | fields
        return [*lines[: number - 1], json.dumps(line), *lines[number:]]

    assert said(b"hello").startswith(f"{file}: is no recording: ")
    assert said(b"") == f"{file}: is empty"
    assert said(whole[:-20]).startswith(f"{file}: is cut off or damaged after line ")
    assert main(["replay", str(file), "--partial"]) == 0
    capsys.readouterr()
    assert said(["{}"]).startswith(f"{file}:1: quotapilot_recording: is not there")
    newer = said(changed(1, quotapilot_recording=2))
    assert newer.startswith(f"{file}:1: quotapilot_recording: is format 2, this quotapilot reads up to 1")
    assert said(changed(1, cpus="two")).startswith(f"{file}:1: cpus: ")
    assert said(changed(5, wall="noon")) == f"{file}:5: wall: 'noon' is no number"
    assert said(changed(5, at=0)) == f"{file}:5: at: is not after the tick before"
    samples = json.loads(lines[4])["samples"]
    samples[0]["usage_seconds"] = [1.0]
    assert said(changed(5, samples=samples)) == f"{file}:5: samples: usage_seconds: 1 values for 3 containers"
    assert said([*lines[:5], lines[5][:30]]).startswith(f"{file}:6: is not JSON: ")
    missing = tmp_path / "none.gz"
    assert main(["replay", str(missing)]) == 1
    assert capsys.readouterr().err == f"quotapilot: {missing}: can't be read: No such file or directory\n"
    file.write_bytes(whole)
    bad = tmp_path / "c.yaml"
    bad.write_text("control: {gian: 1}\n")
    assert main(["replay", str(file), "--config", str(bad)]) == 2
    assert capsys.readouterr().err.startswith(f"{bad}:1: control.gian: unknown key")


def test_recording_is_bounded_and_says_so(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path / "r.gz", {}, 2000, append_seconds=0.0)
    for number in range(100):
        file.put({"at": number, "filler": "x" * 100})
    file.close()
    assert 2000 <= file.bytes == (tmp_path / "r.gz").stat().st_size < 2200
    assert 0 < file.lost < 100
    assert "is full" in file.problem
    lines = gzip.decompress((tmp_path / "r.gz").read_bytes()).decode().splitlines()
    assert len(lines) == 1 + 100 - file.lost
    assert [json.loads(line)["at"] for line in lines[1:]] == list(range(100 - file.lost))


class SlowFile(RecordingFile):
    """Its disk takes nothing while it is closed."""

    opened, waits = threading.Event(), threading.Event()

    def _append(self, batch: list[dict[str, Any]]) -> None:
        self.waits.set()
        self.opened.wait(10)
        super()._append(batch)


def test_a_slow_disk_loses_ticks_and_the_next_line_says_how_many(tmp_path: Path) -> None:
    SlowFile.opened.set()
    file = SlowFile(tmp_path / "r.gz", {}, 10**9, append_seconds=0.0, queued_lines=1)
    SlowFile.opened.clear()
    SlowFile.waits.clear()
    file.put({"at": 0})
    assert SlowFile.waits.wait(10)
    for at in (1, 2, 3):
        file.put({"at": at})
    SlowFile.opened.set()
    while not file._queue.empty():
        SlowFile.opened.wait(0.01)
    file.put({"at": 4})
    file.close()
    lines = gzip.decompress((tmp_path / "r.gz").read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines[1:]] == [{"at": 0}, {"at": 1}, {"at": 4, "lost": 2}]
    assert file.lost == 2


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "r.rec.gz"
    file.write_bytes(b"mine")
    assert free_name(file) == tmp_path / "r-2.rec.gz"
    with pytest.raises(FileExistsError):
        AgentRecording(file, Config(), SimulatedNode(2), "n1", 10**9)
    assert main(["record", str(file)]) == 1
    assert file.read_bytes() == b"mine"


def test_header_has_the_configuration(tmp_path: Path) -> None:
    record(tmp_path / "r.gz", until=1.0, control={"gain": 0.5})
    header = Recording(tmp_path / "r.gz").header
    assert header.config == dump(merge(Config(), {"control": {"gain": 0.5}}))
    assert (header.node, header.backend, header.cpus) == ("n1", "simulated", 2)


def test_what_is_not_readable_as_a_recording_names_the_field() -> None:
    with pytest.raises(RecordingError, match="can't be read"):
        Recording(Path("/nowhere/r.gz"))
