"""CgroupNode on this machine's own cgroup v1 kernel, and the fake held against it."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.base import Gone, Refused
from backends.cgroup import CgroupNode, LayoutError, open_node
from models.container import Container, CpuLimit, Sample
from tests.fakes.cgroup_compare import compare_with_kernel

pytestmark = pytest.mark.system

PATIENCE_SECONDS = 30.0


class Groups:
    """Real groups below one of the test's own, with busy processes; all of it removed at the end."""

    def __init__(self, node: CgroupNode, name: str) -> None:
        layout = node.layout
        self._top = f"/{name}"
        self._cpu = layout.cpu.point
        self._unified = layout.unified.point if layout.unified else None
        hierarchies = (layout.cpu, layout.cpuacct, layout.memory)
        self._points = list(dict.fromkeys(mount.point for mount in hierarchies if mount))
        self._directories: list[Path] = []
        self._pids: list[int] = []
        self.add("")

    def add(self, name: str, psi: bool = True) -> str:
        group = f"{self._top}/{name}".rstrip("/")
        for point in [*self._points, *([self._unified] if psi and self._unified else [])]:
            directory = Path(f"{point}{group}")
            directory.mkdir()
            self._directories.append(directory)
        return group

    def spin(self, group: str, cpu: int = 0) -> int:
        """A busy process in the group."""
        pid = os.fork()
        if pid == 0:
            try:
                for directory in self._directories:
                    if str(directory).endswith(group):
                        (directory / "cgroup.procs").write_text("0")
                os.sched_setaffinity(0, {cpu})
                while True:
                    pass
            finally:
                os._exit(1)
        self._pids.append(pid)
        return pid

    def remove(self, group: str) -> None:
        self.kill()
        for directory in reversed(self._directories):
            if str(directory).endswith(group):
                self._rmdir(directory)
                self._directories.remove(directory)

    def kill(self) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._pids.clear()

    def close(self) -> None:
        self.kill()
        for directory in reversed(self._directories):
            with contextlib.suppress(FileNotFoundError):
                self._rmdir(directory)

    def _rmdir(self, directory: Path) -> None:
        def gone() -> bool:
            # EBUSY until the kernel has let go of the last process.
            with contextlib.suppress(OSError):
                directory.rmdir()
            return not directory.exists()

        wait_until(gone)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "did not come about in time"
        time.sleep(0.05)


@pytest.fixture
def node() -> Iterator[CgroupNode]:
    try:
        opened = open_node()
    except LayoutError as error:
        pytest.skip(str(error))
    if opened.name != "cgroup-v1":
        pytest.skip("this machine has cgroup v2")
    if problem := opened.write_problem():
        pytest.skip(problem)
    yield opened
    opened.close()


@pytest.fixture
def groups(node: CgroupNode, cgroup_name: str) -> Iterator[Groups]:
    made = Groups(node, cgroup_name)
    yield made
    made.close()


def watch(node: CgroupNode, *groups: str) -> None:
    node.watch([Container(group, group, node.inode(group)) for group in groups])


def sample(node: CgroupNode) -> Sample:
    return node.collect(time.monotonic())


def test_the_fake_does_as_this_kernel_does(node: CgroupNode) -> None:
    if node.layout.memory is None:
        pytest.skip("the memory controller is not mounted")
    assert compare_with_kernel(Path(node.layout.cpu.point), Path(node.layout.memory.point)) == []


def test_a_limited_container_is_seen_to_throttle_and_wait(node: CgroupNode, groups: Groups) -> None:
    group = groups.add("web")
    groups.spin(group)
    watch(node, group)
    node.set_limit(group, CpuLimit(20_000))
    first = sample(node)
    assert first.limit_cores[0] == 0.2
    assert first.memory_limit_bytes[0] == math.inf

    def throttled() -> bool:
        now = sample(node)
        return bool(
            now.throttled_periods[0] > first.throttled_periods[0]
            and now.throttled_seconds[0] > first.throttled_seconds[0]
            and now.usage_seconds[0] > first.usage_seconds[0]
        )

    wait_until(throttled)
    if node.layout.unified:
        wait_until(lambda: bool(sample(node).wait_seconds[0] > 0.0))
        assert math.isnan(sample(node).run_delay_seconds[0])


def test_a_pods_limit_is_its_containers(node: CgroupNode, groups: Groups) -> None:
    pod = groups.add("pod")
    web = groups.add("pod/web")
    groups.spin(web)
    watch(node, web)
    node.set_limit(pod, CpuLimit(10_000))
    with pytest.raises(Refused):
        node.set_limit(web, CpuLimit(20_000))
    first = sample(node)
    assert first.limit_cores[0] == 0.1
    wait_until(lambda: bool(sample(node).throttled_periods[0] > first.throttled_periods[0]))


def test_run_delay_where_there_is_no_psi(node: CgroupNode, groups: Groups) -> None:
    group = groups.add("web", psi=False)
    groups.spin(group)
    groups.spin(group)
    watch(node, group)

    def waits() -> bool:
        now = sample(node)
        return math.isnan(now.wait_seconds[0]) and bool(now.run_delay_seconds[0] > 0.01)

    wait_until(waits)


def test_a_new_group_of_the_same_path_is_not_touched(node: CgroupNode, groups: Groups) -> None:
    group = groups.add("web")
    watch(node, group)
    sample(node)
    old = node.inode(group)
    groups.remove(group)
    groups.add("web")
    assert node.inode(group) != old
    with pytest.raises(Gone):
        node.set_limit(group, CpuLimit(50_000))
    assert sample(node).gone == {group}
    watch(node, group)
    assert node.limit(group) == CpuLimit(None)
    assert sample(node).gone == frozenset()


def test_burst_is_lowered_with_the_quota(node: CgroupNode, groups: Groups) -> None:
    group = groups.add("web")
    if node.burst_us(group) is None:
        pytest.skip("this kernel has no burst")
    node.set_limit(group, CpuLimit(50_000))
    node.set_burst_us(group, 40_000)
    node.set_limit(group, CpuLimit(30_000))
    assert (node.limit(group), node.burst_us(group)) == (CpuLimit(30_000), 30_000)


def test_paths_and_cpus(node: CgroupNode, groups: Groups) -> None:
    group = groups.add("web")
    top = group.rpartition("/")[0]
    assert node.children(top) == [group]
    assert node.groups(f"{top}/*") == [group]
    assert node.relative(f"{node.layout.cpu.point}{group}") == group
    assert node.allowed_cpus(group) <= frozenset(range(node.cpus))
    assert node.allowed_cpus(group)
