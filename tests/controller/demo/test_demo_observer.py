from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from backends.cgroup.layout import load_layout
from controller.demo.observer import GroupReader, MachineReader, Watch
from tests.fakes.cgroup_tree import CgroupTree


@pytest.mark.parametrize("kind", ["v1", "v1-joint", "hybrid", "v2"])
def test_an_unlimited_group_is_read_alike_in_every_layout(tmp_path: Path, kind: str) -> None:
    tree = CgroupTree(tmp_path, kind)
    tree.add("/demo/online")
    layout = load_layout(mountinfo_path=tree.mountinfo, files=tree.files)
    with closing(GroupReader(layout, "/demo/online")) as reader:
        row = reader.read()
    assert row == {
        "usage_seconds": 0.0,
        "limit_cores": None,
        "throttled_seconds": 0.0,
        "wait_seconds": None if kind.startswith("v1") else 0.0,
        "weight": 100 if kind == "v2" else 1024,
        "idle": 0,
    }


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        (
            "hybrid",
            {
                "cpu/g/cpu.cfs_quota_us": "150000\n",
                "cpu/g/cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 2500000000\n",
                "cpuacct/g/cpuacct.usage": "7250000000\n",
            },
        ),
        (
            "v2",
            {
                "g/cpu.max": "150000 100000\n",
                "g/cpu.stat": "usage_usec 7250000\nnr_periods 4\nnr_throttled 2\nthrottled_usec 2500000\n",
            },
        ),
    ],
)
def test_units_are_cores_and_seconds_whatever_the_files_use(
    tmp_path: Path, kind: str, files: dict[str, str]
) -> None:
    tree = CgroupTree(tmp_path, kind)
    tree.add("/g")
    layout = load_layout(mountinfo_path=tree.mountinfo, files=tree.files)
    cpu_root = Path(layout.cpu.point)
    top = cpu_root if kind == "v2" else cpu_root.parent
    for name, text in files.items():
        (top / name).write_text(text)
    with closing(GroupReader(layout, "/g")) as reader:
        row = reader.read()
    assert (row["usage_seconds"], row["limit_cores"], row["throttled_seconds"]) == (7.25, 1.5, 2.5)


def test_a_kernel_without_cpu_idle_is_observed_too(tmp_path: Path) -> None:
    tree = CgroupTree(tmp_path, "v2")
    tree.add("/g")
    layout = load_layout(mountinfo_path=tree.mountinfo, files=tree.files)
    (Path(layout.cpu.point) / "g/cpu.idle").unlink()
    with closing(GroupReader(layout, "/g")) as reader:
        assert reader.read()["idle"] == 0


def test_a_group_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    tree = CgroupTree(tmp_path, "v2")
    with pytest.raises(FileNotFoundError):
        GroupReader(load_layout(mountinfo_path=tree.mountinfo, files=tree.files), "/nobody")


def test_the_machines_counters_grow() -> None:
    row = MachineReader().read()
    assert row["busy_seconds"] is not None
    assert row["busy_seconds"] > 0
    assert row.keys() == {"busy_seconds", "stolen_seconds"}


def test_what_to_watch_survives_its_file(tmp_path: Path) -> None:
    watch = Watch({"online": "/a/online"}, {"online": "work"}, "out")
    watch.write(tmp_path / "watch")
    assert Watch.read(tmp_path / "watch") == watch
