"""mountinfo texts as seen on real machines -> Layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.cgroup.layout import Layout, LayoutError, choose_layout, load_layout, parse_mounts

V1_APART = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
"""
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
V1_JOINT = """\
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 master:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:13 - cgroup cgroup rw,memory
"""
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def layout(text: str, controllers: str = "", root: str | None = None) -> Layout:
    return choose_layout(parse_mounts(text), lambda _: controllers.split(), Path(root) if root else None)


def test_v1_with_each_controller_apart() -> None:
    found = layout(V1_APART)
    assert found.kind == "v1"
    assert found.cpu.point == "/sys/fs/cgroup/cpu"
    assert found.cpuacct is not None
    assert found.cpuacct.point == "/sys/fs/cgroup/cpuacct"
    assert found.cpuset is not None
    assert found.memory is not None
    assert found.unified is None


def test_v1_with_cpu_and_cpuacct_together() -> None:
    found = layout(V1_JOINT)
    assert found.cpu is found.cpuacct
    assert found.cpu.point == "/sys/fs/cgroup/cpu,cpuacct"
    assert found.cpuset is None


def test_hybrid_has_an_empty_v2_tree() -> None:
    found = layout(V1_APART + UNIFIED)
    assert found.kind == "hybrid"
    assert found.cpu.point == "/sys/fs/cgroup/cpu"
    assert found.unified is not None
    assert found.unified.point == "/sys/fs/cgroup/unified"


def test_v2_when_the_tree_offers_cpu() -> None:
    found = layout(V2, "cpuset cpu io memory pids")
    assert found.kind == "v2"
    assert found.cpu == found.memory == found.unified


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "hostPath"),
        (V2, "subtree_control"),
        ("22 1 0:21 / /proc rw - proc proc rw\nnot a mount\n", "hostPath"),
    ],
)
def test_no_cpu_controller_says_what_to_do(text: str, advice: str) -> None:
    with pytest.raises(LayoutError, match=advice):
        layout(text)


def test_unreadable_mountinfo_says_so(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="mount /proc"):
        load_layout(mountinfo_path=tmp_path / "none")


HOST_MOUNT = "50 1 0:29 / /host/sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"


def test_the_mount_below_root_wins_even_read_only() -> None:
    assert layout(V1_APART + HOST_MOUNT, root="/host/sys/fs/cgroup").cpu.point == "/host/sys/fs/cgroup/cpu"


def test_without_root_read_write_wins() -> None:
    assert layout(HOST_MOUNT + V1_APART).cpu.point == "/sys/fs/cgroup/cpu"


def test_root_is_a_preference_only() -> None:
    assert layout(V1_APART, root="/host/sys/fs/cgroup").cpu.point == "/sys/fs/cgroup/cpu"


def test_a_read_only_super_block_counts() -> None:
    ro = "50 1 0:29 / /first rw - cgroup cgroup ro,cpu\n"
    assert layout(ro + V1_APART).cpu.point == "/sys/fs/cgroup/cpu"


def test_a_mount_over_another_hides_it() -> None:
    hidden = V2 + "60 30 0:50 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    assert parse_mounts(hidden) == ()


def test_escaped_mount_point() -> None:
    text = r"32 31 0:29 / /mnt/my\040cgroups\134cpu rw - cgroup cgroup rw,cpu"
    assert layout(text).cpu.point == "/mnt/my cgroups\\cpu"


@pytest.mark.parametrize(
    ("root", "cgroup", "group"),
    [
        ("/", "/kubepods/pod1", "/kubepods/pod1"),
        ("/", "/", "/"),
        ("/docker/abc", "/docker/abc/inner", "/inner"),
        ("/docker/abc", "/docker/abc", "/"),
        ("/docker/abc", "/docker/abcd", None),
        ("/docker/abc", "/", None),
        ("/../../..", "/../../../kubepods/pod1", "/kubepods/pod1"),
        ("/../..", "/../../../other", None),
        ("/", "/../sibling", None),
    ],
)
def test_paths_of_proc_against_a_mounts_root(root: str, cgroup: str, group: str | None) -> None:
    mounts = parse_mounts(f"30 23 0:26 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    assert mounts[0].below(cgroup) == group
