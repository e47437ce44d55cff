"""Static lists, the walk over the cgroup tree, and the merging of both, on a tree in memory."""

from __future__ import annotations

import fnmatch
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backends.base import Discovery, Gone
from backends.discovery.cgroupfs import CgroupfsDiscovery, TierPattern
from backends.discovery.merge import Merged
from backends.discovery.names import Kind, recognise
from backends.discovery.own import own_groups
from backends.discovery.static import StaticDiscovery, StaticEntry
from backends.discovery.tree import Tree
from models.container import Container, Slo

A, B, C, D = (letter * 64 for letter in "abcd")
UID = "0d6e8a3c-1f6b-4a52-9f0e-6a7c1f2b3d4e"
UID_ = UID.replace("-", "_")

ONLINE = Container("web", "", 0, tier="online", priority=100, slo=Slo(0.25), floor_cores=0.5)
OFFLINE = Container("batch", "", 0, tier="offline")


class FakeTree:
    """Groups by path; each gets the next inode, as a kernel's never come back soon."""

    def __init__(self, *groups: str) -> None:
        self.inodes: dict[str, int] = {}
        self.broken: set[str] = set()
        self._next = itertools.count(100)
        for group in groups:
            self.make(group)

    def make(self, group: str) -> None:
        parts = group.strip("/").split("/")
        for n in range(1, len(parts) + 1):
            path = "/" + "/".join(parts[:n])
            if path not in self.inodes:
                self.inodes[path] = next(self._next)

    def remove(self, group: str) -> None:
        del self.inodes[group]

    def relative(self, path: str) -> str:
        if ".." in path:
            raise ValueError(path)
        return "/" + path.removeprefix("/sys/fs/cgroup/cpu").strip("/")

    def groups(self, pattern: str) -> Sequence[str]:
        depth = pattern.count("/")
        return sorted(g for g in self.inodes if g.count("/") == depth and fnmatch.fnmatchcase(g, pattern))

    def children(self, group: str) -> Sequence[str]:
        if group in self.broken:
            raise PermissionError(group)
        return sorted(g for g in self.inodes if g.rpartition("/")[0] == group.rstrip("/"))

    def inode(self, group: str) -> int:
        try:
            return self.inodes[group]
        except KeyError:
            raise Gone(group) from None


def by_id(discovery: Discovery) -> dict[str, str]:
    found = discovery.containers()
    assert len({container.id for container in found}) == len(found)
    return {container.id: container.cgroup for container in found}


# --- static


def static(tree: Tree, *entries: tuple[str, Container]) -> StaticDiscovery:
    return StaticDiscovery(tree, [StaticEntry(path, template) for path, template in entries])


def test_a_named_group_has_the_entrys_name_and_policy() -> None:
    tree = FakeTree("/apps/web")
    (found,) = static(tree, ("/apps/web", ONLINE)).containers()
    assert found == replace(ONLINE, id="web", cgroup="/apps/web", inode=tree.inodes["/apps/web"])


@pytest.mark.parametrize("path", ["/apps/web", "apps/web", "/sys/fs/cgroup/cpu/apps/web", "apps/web/"])
def test_a_path_may_be_absolute_below_a_mount_or_relative(path: str) -> None:
    assert by_id(static(FakeTree("/apps/web"), (path, ONLINE))) == {"web": "/apps/web"}


def test_a_path_out_of_the_tree_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="web"):
        static(FakeTree(), ("/apps/../web", ONLINE))


def test_a_missing_group_is_not_there_yet() -> None:
    tree = FakeTree()
    discovery = static(tree, ("/apps/web", ONLINE))
    assert by_id(discovery) == {}
    tree.make("/apps/web")
    assert by_id(discovery) == {"web": "/apps/web"}


@pytest.mark.parametrize(
    ("pattern", "groups", "ids"),
    [
        ("/jobs/job-*", ["/jobs/job-1", "/jobs/job-22"], {"batch-1", "batch-22"}),
        ("/jobs/*/main", ["/jobs/x/main", "/jobs/y/main", "/jobs/y/other"], {"batch-x", "batch-y"}),
        ("/*/job-?", ["/a/job-1", "/b/job-1"], {"batch-a/job-1", "batch-b/job-1"}),
        ("/jobs/job[12]", ["/jobs/job1", "/jobs/job2", "/jobs/job3"], {"batch-1", "batch-2"}),
        ("/jobs/job*", ["/jobs/job"], {"batch"}),
    ],
)
def test_a_glob_names_each_group_by_what_the_wildcards_stood_for(
    pattern: str, groups: list[str], ids: set[str]
) -> None:
    found = static(FakeTree(*groups), (pattern, OFFLINE)).containers()
    assert {container.id for container in found} == ids
    assert {container.tier for container in found} == {"offline"}


def test_the_first_entry_wins_for_a_group_and_for_an_id() -> None:
    tree = FakeTree("/jobs/1", "/jobs/2", "/other")
    discovery = static(
        tree, ("/jobs/1", ONLINE), ("/jobs/*", OFFLINE), ("/other", replace(OFFLINE, id="batch-2"))
    )
    assert by_id(discovery) == {"web": "/jobs/1", "batch-2": "/jobs/2"}


def test_a_group_made_anew_is_another_container() -> None:
    tree = FakeTree("/apps/web")
    discovery = static(tree, ("/apps/web", ONLINE))
    (before,) = discovery.containers()
    assert discovery.containers()[0] is before
    tree.remove("/apps/web")
    tree.make("/apps/web")
    (after,) = discovery.containers()
    assert after.id == before.id
    assert after.identity != before.identity


# --- the names of groups


@pytest.mark.parametrize(
    ("name", "kind", "runtime_id"),
    [
        (A, Kind.CONTAINER, A),
        (f"cri-containerd-{A}.scope", Kind.CONTAINER, A),
        (f"crio-{A}.scope", Kind.CONTAINER, A),
        (f"crio-{A}", Kind.CONTAINER, A),
        (f"docker-{A}.scope", Kind.CONTAINER, A),
        (f"libpod-{A}.scope", Kind.CONTAINER, A),
        (f"libpod-{A}", Kind.CONTAINER, A),
        (f"libpod-conmon-{A}.scope", Kind.HELPER, ""),
        (f"crio-conmon-{A}.scope", Kind.HELPER, ""),
        ("init.scope", Kind.HELPER, ""),
        ("sshd.service", Kind.UNIT, ""),
        ("session-3.scope", Kind.UNIT, ""),
        ("user@1000.service", Kind.LEVEL, ""),
        ("system.slice", Kind.LEVEL, ""),
        (f"pod{UID}", Kind.LEVEL, ""),
        (A[:12], Kind.LEVEL, ""),
        (A.upper(), Kind.LEVEL, ""),
        (f"libpod_pod_{A}", Kind.LEVEL, ""),
    ],
)
def test_names_of_groups(name: str, kind: Kind, runtime_id: str) -> None:
    assert recognise(name) == (kind, runtime_id)


def test_below_libpod_parent_a_bare_id_is_a_pod() -> None:
    assert recognise(A, "libpod_parent") == (Kind.LEVEL, "")
    assert recognise(f"libpod-{A}", "libpod_parent") == (Kind.CONTAINER, A)


# --- the walk


def walk(tree: Tree, *roots: str, default: Container | None = OFFLINE, **more: object) -> CgroupfsDiscovery:
    return CgroupfsDiscovery(tree, roots or ("/",), [], default=default, **more)  # type: ignore[arg-type]


def test_kubepods_of_both_drivers_and_all_qos_classes() -> None:
    slice_ = "/kubepods.slice/kubepods-burstable.slice"
    pod = f"{slice_}/kubepods-burstable-pod{UID_}.slice"
    groups = {
        A: f"/kubepods/pod{UID}/{A}",
        B: f"/kubepods/burstable/pod{UID}/crio-{B}",
        C: f"{pod}/cri-containerd-{C}.scope",
        D: f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice/docker-{D}.scope",
    }
    discovery = walk(FakeTree(*groups.values()), "/kubepods", "/kubepods.slice", "/kubelet.slice")
    assert by_id(discovery) == groups


def test_docker_podman_and_units() -> None:
    tree = FakeTree(
        f"/docker/{A}",
        f"/libpod_parent/libpod-{B}",
        "/libpod_parent/conmon",
        f"/machine.slice/libpod-{C}.scope/container",
        f"/machine.slice/libpod-conmon-{C}.scope",
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{D}.scope",
        "/user.slice/user-1000.slice/user@1000.service/init.scope",
        "/user.slice/user-1000.slice/session-1.scope",
        "/system.slice/nginx.service/worker",
        "/system.slice/system-getty.slice/getty@tty1.service",
        "/init.scope",
        "/batch/job",
    )
    assert by_id(walk(tree)) == {
        A: f"/docker/{A}",
        B: f"/libpod_parent/libpod-{B}",
        C: f"/machine.slice/libpod-{C}.scope",
        D: f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{D}.scope",
        "/user.slice/user-1000.slice/session-1.scope": "/user.slice/user-1000.slice/session-1.scope",
        "/system.slice/nginx.service": "/system.slice/nginx.service",
        "/system.slice/system-getty.slice/getty@tty1.service": (
            "/system.slice/system-getty.slice/getty@tty1.service"
        ),
    }


def test_a_podman_pod_without_systemd() -> None:
    tree = FakeTree(f"/libpod_parent/{A}/libpod-{B}")
    assert by_id(walk(tree)) == {B: f"/libpod_parent/{A}/libpod-{B}"}


def test_the_first_pattern_that_fits_gives_the_policy() -> None:
    tree = FakeTree(f"/kubepods/burstable/podx/{A}", f"/kubepods/besteffort/podx/{B}", f"/kubepods/pody/{C}")
    patterns = [TierPattern("/kubepods/burstable/*", ONLINE), TierPattern("/kubepods/b*", OFFLINE)]
    discovery = CgroupfsDiscovery(tree, ["/kubepods"], patterns)
    assert {c.id: c.tier for c in discovery.containers()} == {A: "online", B: "offline"}
    discovery = CgroupfsDiscovery(tree, ["/kubepods"], patterns, default=replace(OFFLINE, tier="realtime"))
    assert {c.id: c.tier for c in discovery.containers()} == {A: "online", B: "offline", C: "realtime"}


def test_overlapping_roots_find_a_group_once() -> None:
    assert by_id(walk(FakeTree(f"/a/b/{A}"), "/a", "/a/b", "/nowhere")) == {A: f"/a/b/{A}"}


def test_our_own_group_is_left_out_also_when_we_sit_below_it() -> None:
    tree = FakeTree(f"/docker/{A}/container", f"/docker/{B}", f"/docker/{C}")
    own = [f"/docker/{A}/container", f"/docker/{B}"]
    assert by_id(walk(tree, own=own)) == {C: f"/docker/{C}"}


def test_what_cannot_be_listed_hides_nothing_else() -> None:
    tree = FakeTree(f"/a/{A}", f"/b/{B}")
    tree.broken.add("/a")
    assert by_id(walk(tree)) == {B: f"/b/{B}"}


def test_a_container_made_anew_is_another_one_and_others_stay_the_same_object() -> None:
    tree = FakeTree(f"/docker/{A}", f"/docker/{B}")
    discovery = walk(tree)
    before = {c.id: c for c in discovery.containers()}
    tree.remove(f"/docker/{A}")
    tree.make(f"/docker/{A}")
    after = {c.id: c for c in discovery.containers()}
    assert after[A].identity != before[A].identity
    assert after[B] is before[B]
    tree.remove(f"/docker/{A}")
    assert by_id(discovery) == {B: f"/docker/{B}"}


def test_a_group_that_vanishes_between_listing_and_looking_is_skipped() -> None:
    tree = FakeTree(f"/docker/{A}", f"/docker/{B}")
    listing = tree.children("/docker")
    tree.remove(f"/docker/{A}")
    tree.children = lambda group: listing if group == "/docker" else ()  # type: ignore[method-assign]
    assert by_id(walk(tree, "/docker")) == {B: f"/docker/{B}"}


def test_a_sandbox_is_left_out_and_asked_for_once() -> None:
    asked: list[str] = []

    def check(group: str) -> bool:
        asked.append(group)
        return group.endswith(A)

    tree = FakeTree(f"/docker/{A}", f"/docker/{B}", "/system.slice/x.service")
    discovery = walk(tree, is_sandbox=check)
    for _ in range(3):
        assert set(by_id(discovery)) == {B, "/system.slice/x.service"}
    assert asked == [f"/docker/{A}", f"/docker/{B}"]


def test_an_undecided_group_counts_as_a_container_and_is_asked_for_a_while() -> None:
    asked: list[str] = []
    verdicts: dict[str, bool | None] = {f"/docker/{A}": None}

    def check(group: str) -> bool | None:
        asked.append(group)
        return verdicts[group]

    discovery = walk(FakeTree(f"/docker/{A}"), is_sandbox=check)
    assert set(by_id(discovery)) == {A}
    verdicts[f"/docker/{A}"] = True
    assert by_id(discovery) == {}

    verdicts[f"/docker/{A}"] = None
    asked.clear()
    discovery = walk(FakeTree(f"/docker/{A}"), is_sandbox=check)
    for _ in range(50):
        assert set(by_id(discovery)) == {A}
    assert len(asked) == 10


# --- our own groups


def test_own_groups(tmp_path: Path) -> None:
    file = tmp_path / "cgroup"
    file.write_text("9:name=systemd:/s\n4:memory:/m\n2:cpu,cpuacct:/c:x\n1:cpuset:/\n0::/u\n")
    assert own_groups(file) == {"/c:x", "/u"}
    file.write_text("1:cpu:/\n0::/\n")
    assert own_groups(file) == frozenset()
    assert own_groups(tmp_path / uuid.uuid4().hex) == frozenset()


# --- merging


class Listed:
    def __init__(self, *containers: Container) -> None:
        self.found = containers
        self.error: Exception | None = None

    def containers(self) -> Sequence[Container]:
        if self.error:
            raise self.error
        return self.found


def test_the_first_source_wins_for_a_group_and_for_an_id() -> None:
    first = Listed(Container("a", "/1", 1, tier="online"))
    second = Listed(Container("x", "/1", 1), Container("a", "/2", 2), Container("b", "/3", 3))
    assert [(c.id, c.cgroup) for c in Merged({"one": first, "two": second}).containers()] == [
        ("a", "/1"),
        ("b", "/3"),
    ]


def test_a_failing_source_keeps_its_last_list_and_hides_no_other() -> None:
    broken, sound = Listed(Container("a", "/1", 1)), Listed(Container("b", "/2", 2))
    merged = Merged({"cgroupfs": broken, "podman": sound})
    merged.containers()
    broken.error = RuntimeError("no socket")
    sound.found = (Container("c", "/3", 3),)
    assert {c.id for c in merged.containers()} == {"a", "c"}
    assert merged.problems == {"cgroupfs": "RuntimeError: no socket"}
    broken.error = None
    broken.found = ()
    assert {c.id for c in merged.containers()} == {"c"}
    assert merged.problems == {}


def test_a_source_that_never_answered_has_no_containers() -> None:
    broken = Listed()
    broken.error = OSError("gone")
    merged = Merged({"podman": broken})
    assert merged.containers() == ()
    assert merged.problems == {"podman": "OSError: gone"}
