"""Is the node well? On directories like /proc and /sys, and a clock that the test holds."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.health import HealthSettings, NodeHealth

SETTINGS = HealthSettings(disk_paths=("/var/lib",))
WALL = 1.8e9  # some day's time minus the monotonic clock

IPV4_HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
IPV6_LO = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"


def ipv4(interface: str, destination: str = "00000000", mask: str = "00000000", flags: str = "0003") -> str:
    return f"{interface}\t{destination}\t010200C0\t{flags}\t0\t0\t0\t{mask}\t0\t0\t0\n"


def ipv6(interface: str) -> str:
    return f"{'0' * 32} 00 {'0' * 32} 00 fd{'0' * 29}1 00000400 00000002 00000000 00000003     {interface}\n"


class Host:
    """A node's files; every disk is roomy and writable until a test says otherwise."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        self.disks: dict[str, dict[str, int] | OSError] = {}
        self.now = 100.0
        self.wall = WALL + self.now
        (self.sys / "class/net").mkdir(parents=True)

    def write(self, path: Path, text: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def link(self, name: str, state: str) -> None:
        self.write(self.sys / "class/net" / name / "operstate", state)

    def unplug(self, name: str) -> None:
        (self.sys / "class/net" / name / "operstate").unlink()
        (self.sys / "class/net" / name).rmdir()

    def routes(self, v4: str = "", v6: str = IPV6_LO) -> None:
        self.write(self.proc / "net/route", (IPV4_HEAD + v4).rstrip("\n"))
        self.write(self.proc / "net/ipv6_route", v6.rstrip("\n"))

    def disk(self, path: str = "/var/lib", **changes: int) -> None:
        self.disks[path] = changes

    def statvfs(self, path: str) -> Any:
        state = self.disks.get(path, {})
        if isinstance(state, OSError):
            raise state
        sound = {"f_blocks": 1000, "f_bavail": 500, "f_files": 1000, "f_favail": 500, "f_flag": 0}
        return SimpleNamespace(**{**sound, **state})

    def health(self, settings: HealthSettings = SETTINGS) -> NodeHealth:
        return NodeHealth(settings, str(self.proc), str(self.sys), self.statvfs)

    def check(
        self, health: NodeHealth, after: float = 1.0, wall: float | None = None, failed: bool = False
    ) -> tuple[str, ...]:
        self.now += after
        self.wall += after if wall is None else wall
        return health.check(self.now, self.wall, failed)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_without_anything_to_look_at_is_well(tmp_path: Path) -> None:
    def refuse(path: str) -> os.statvfs_result:
        raise OSError(errno.ENOENT, path)

    health = NodeHealth(SETTINGS, str(tmp_path / "no-proc"), str(tmp_path / "no-sys"), refuse)
    assert [health.check(now, WALL + now, False) for now in (1.0, 2.0, 3.0)] == [()] * 3


def test_this_machine_is_well_or_says_why() -> None:
    health = NodeHealth(HealthSettings())
    assert health.check(1.0, WALL, False) == ()


# --- disks


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"f_flag": os.ST_RDONLY}, "disk-readonly: /var/lib"),
        ({"f_bavail": 9}, "disk-full: /var/lib"),
        ({"f_favail": 9}, "disk-full: /var/lib"),
    ],
)
def test_a_disk_that_is_lost_is_a_fault_until_it_is_back(
    host: Host, changes: dict[str, int], fault: str
) -> None:
    health = host.health()
    assert host.check(health) == ()
    host.disk(**changes)
    assert host.check(health) == (fault,)
    host.disk()
    assert host.check(health) == ()


@pytest.mark.parametrize("changes", [{"f_flag": os.ST_RDONLY}, {"f_bavail": 9}, {"f_favail": 9}])
def test_a_disk_that_was_so_at_the_start_is_no_fault(host: Host, changes: dict[str, int]) -> None:
    host.disk(**changes)
    health = host.health()
    assert host.check(health) == ()


def test_a_file_system_without_inodes_to_count_is_not_full(host: Host) -> None:
    health = host.health()
    host.disk(f_files=0, f_favail=0)
    assert host.check(health) == ()


def test_a_disk_that_answers_with_an_io_error_has_failed_and_one_not_to_be_seen_is_no_signal(
    host: Host,
) -> None:
    health = host.health()
    host.disks["/var/lib"] = OSError(errno.EIO, "Input/output error")
    assert host.check(health) == ("disk-failed: /var/lib",)
    host.disks["/var/lib"] = OSError(errno.ENOENT, "No such file or directory")
    assert host.check(health) == ()


def test_without_paths_every_disk_partition_is_looked_at(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [("/dev/vda", "/"), ("/dev/vdb", "/data"), ("/dev/vda", "/run/netns")]
    partitions = [SimpleNamespace(device=device, mountpoint=point) for device, point in mounts]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: partitions)
    health = host.health(HealthSettings())
    for point in ("/", "/data", "/run/netns"):
        host.disk(point, f_flag=os.ST_RDONLY)
    assert sorted(host.check(health)) == ["disk-readonly: /", "disk-readonly: /data"]


# --- I/O errors


def test_one_ext4_error_counts_for_a_minute(host: Host) -> None:
    count = host.sys / "fs/ext4/vda/errors_count"
    host.write(host.sys / "fs/ext4/features/casefold", "supported")
    host.write(count, 5)
    health = host.health()
    assert host.check(health) == ()
    host.write(count, 6)
    assert host.check(health) == ("io-errors: vda (1 new)",)
    host.write(count, 8)
    assert host.check(health, after=30) == ("io-errors: vda (3 new)",)
    assert host.check(health, after=60) == ("io-errors: vda (3 new)",)
    assert host.check(health) == ()
    host.write(count, 9)
    assert host.check(health) == ("io-errors: vda (1 new)",)


def test_a_scsi_disk_must_go_on_failing(host: Host) -> None:
    count = host.sys / "block/sda/device/ioerr_cnt"
    host.write(count, "0x10")
    health = host.health()
    for value, faults in (("0x14", ()), ("0x15", ()), ("0x16", ("io-errors: sda (6 new)",))):
        host.write(count, value)
        assert host.check(health) == faults


def test_a_burst_of_smartd_every_half_hour_is_no_fault(host: Host) -> None:
    count = host.sys / "block/sda/device/ioerr_cnt"
    host.write(count, "0x0")
    health = host.health()
    for n in range(1, 10):
        host.write(count, hex(8 * n))
        assert host.check(health, after=1800) == ()
        host.write(count, hex(8 * n + 2))
        assert host.check(health) == ()


def test_a_drive_without_a_medium_and_another_disk_under_an_old_name_are_no_fault(host: Host) -> None:
    drive, disk = (host.sys / "block" / name for name in ("sr0", "sda"))
    host.write(drive / "removable", 1)
    host.write(drive / "device/ioerr_cnt", "0x1")
    host.write(disk / "device/ioerr_cnt", "0x30")
    health = host.health()
    for n in range(2, 8):
        host.write(drive / "device/ioerr_cnt", hex(n))
        assert host.check(health) == ()
    host.write(disk / "device/ioerr_cnt", "0x2")
    assert host.check(health) == ()


def test_a_disk_that_comes_later_counts_from_then(host: Host) -> None:
    health = host.health()
    host.write(host.sys / "fs/ext4/vdb/errors_count", 7)
    assert host.check(health) == ()
    host.write(host.sys / "fs/ext4/vdb/errors_count", 8)
    assert host.check(health) == ("io-errors: vdb (1 new)",)


@pytest.mark.parametrize("text", ["", "many", "-"])
def test_a_count_that_is_none_is_no_signal(host: Host, text: str) -> None:
    host.write(host.sys / "fs/ext4/vda/errors_count", text)
    health = host.health()
    assert host.check(health) == ()


# --- the network


def test_a_host_that_never_had_a_network_is_well(host: Host) -> None:
    host.routes()
    host.link("lo", "unknown")
    host.link("eth0", "down")
    health = host.health()
    assert host.check(health) == ()


@pytest.mark.parametrize("state", ["down", "lowerlayerdown", "notpresent"])
def test_a_link_that_goes_down_is_lost_until_it_is_up(host: Host, state: str) -> None:
    host.link("eth0", "up")
    health = host.health()
    host.link("eth0", state)
    assert host.check(health) == ("link-lost: eth0",)
    host.link("eth0", "up")
    assert host.check(health) == ()


@pytest.mark.parametrize(
    "name",
    ["lo", "veth1a2b", "docker0", "cni0", "cali12ab", "virbr0", "br-5f3c", "flannel.1", "eni0123456789a"],
)
def test_links_of_containers_come_and_go(host: Host, name: str) -> None:
    host.link(name, "up")
    health = host.health()
    host.link(name, "down")
    assert host.check(health) == ()


def test_a_port_of_a_bond_is_not_the_bond(host: Host) -> None:
    host.link("bond0", "up")
    host.link("eth0", "up")
    host.write(host.sys / "class/net/eth0/bonding_slave/state", "active")
    health = host.health()
    host.link("eth0", "down")
    assert host.check(health) == ()
    host.link("bond0", "down")
    assert host.check(health) == ("link-lost: bond0",)


def test_a_link_that_vanished_counts_only_if_it_was_the_way_out(host: Host) -> None:
    host.routes(ipv4("eth0"))
    host.link("eth0", "up")
    host.link("wg0", "unknown")
    health = host.health()
    host.unplug("wg0")
    assert host.check(health) == ()
    host.routes()
    host.unplug("eth0")
    assert host.check(health) == ("link-lost: eth0", "default-route-lost")


def test_a_bridge_that_is_the_way_out_counts_whatever_its_name(host: Host) -> None:
    host.routes(ipv4("br-lan"))
    host.link("br-lan", "up")
    health = host.health()
    host.link("br-lan", "down")
    assert host.check(health) == ("link-lost: br-lan",)


@pytest.mark.parametrize(
    ("v4", "v6"),
    [
        ("", IPV6_LO),
        (ipv4("eth0", destination="000200C0", mask="00FFFFFF"), IPV6_LO),
        (ipv4("eth0", mask="00000080"), IPV6_LO),
        (ipv4("eth0", flags="0200"), IPV6_LO),
        (ipv4("*", flags="0201"), IPV6_LO),
    ],
)
def test_the_default_route_is_lost(host: Host, v4: str, v6: str) -> None:
    host.routes(ipv4("eth0"))
    health = host.health()
    assert host.check(health) == ()
    host.routes(v4, v6)
    assert host.check(health) == ("default-route-lost",)
    host.routes(ipv4("eth0"))
    assert host.check(health) == ()


@pytest.mark.parametrize(("v4", "v6"), [(ipv4("eth1"), IPV6_LO), ("", IPV6_LO + ipv6("eth0"))])
def test_another_default_route_will_do(host: Host, v4: str, v6: str) -> None:
    host.routes(ipv4("eth0"))
    health = host.health()
    host.routes(v4, v6)
    assert host.check(health) == ()


def test_a_default_route_over_ipv6_alone_can_be_lost(host: Host) -> None:
    host.routes(v6=IPV6_LO + ipv6("eth0"))
    health = host.health()
    host.routes()
    assert host.check(health) == ("default-route-lost",)


@pytest.mark.parametrize(
    "spoil", [lambda file: file.unlink(), lambda file: file.write_text("\nnonsense\n\n"), lambda file: None]
)
def test_a_table_that_cannot_be_read_is_no_signal(host: Host, spoil: Callable[[Path], object]) -> None:
    host.routes(ipv4("eth0"))
    health = host.health()
    assert host.check(health) == ()
    spoil(host.proc / "net/route")
    assert host.check(health) == ()


def test_the_network_need_not_be_looked_at(host: Host) -> None:
    host.routes(ipv4("eth0"))
    host.link("eth0", "up")
    health = host.health(replace(SETTINGS, network=False))
    host.routes()
    host.link("eth0", "down")
    assert host.check(health) == ()


# --- the clock


@pytest.mark.parametrize(("jump", "text"), [(12.3, "+12.3 s"), (-3600.0, "-3600.0 s")])
def test_a_step_of_the_clock_counts_for_a_minute(host: Host, jump: float, text: str) -> None:
    health = host.health()
    assert host.check(health) == ()
    assert host.check(health, wall=1.0 + jump) == (f"clock-stepped: {text}",)
    assert host.check(health, after=60) == (f"clock-stepped: {text}",)
    assert host.check(health) == ()


def test_a_clock_that_is_slewed_never_counts(host: Host) -> None:
    health = host.health()
    for _ in range(100):
        assert host.check(health, wall=1.5) == ()


def test_a_loop_that_stood_still_is_no_step(host: Host) -> None:
    health = host.health()
    host.check(health)
    assert host.check(health, after=600) == ()


# --- the collection


def test_collections_must_fail_in_a_row(host: Host) -> None:
    health = host.health()
    checks = [host.check(health, failed=failed) for failed in (True, True, False, True, True, True, True)]
    assert checks == [()] * 5 + [("collection-failing",)] * 2
    assert host.check(health) == ()


# --- all of it


def test_disks_and_network_are_looked_at_once_in_an_interval_and_the_rest_at_each_check(host: Host) -> None:
    looks: list[str] = []
    statvfs = host.statvfs
    host.statvfs = lambda path: (looks.append(path), statvfs(path))[1]  # type: ignore[method-assign]
    health = host.health()
    looks.clear()
    host.check(health)
    host.disk(f_flag=os.ST_RDONLY)
    assert host.check(health, after=0.25) == ()
    assert host.check(health, after=0.25, wall=100) == ("clock-stepped: +99.8 s",)
    assert host.check(health, after=0.5) == ("disk-readonly: /var/lib", "clock-stepped: +99.8 s")
    assert host.check(health, after=0.5) == ("disk-readonly: /var/lib", "clock-stepped: +99.8 s")
    assert looks == ["/var/lib"] * 2
