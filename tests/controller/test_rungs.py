"""Where a weight can help, by the paths alone."""

from __future__ import annotations

import pytest

from controller.rungs import Level, carrier, helps, within


@pytest.mark.parametrize(
    ("cgroup", "level", "group"),
    [
        ("/batch", "container", "/batch"),
        ("/shop/batch", "container", "/shop/batch"),
        ("/shop/batch", "pod", "/shop/batch"),
        ("/kubepods/burstable/pod1/c", "container", ""),
        ("/kubepods/burstable/pod1/c", "pod", "/kubepods/burstable/pod1"),
        ("/lab/kubepods/pod-a/c", "pod", "/lab/kubepods/pod-a"),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/c.scope",
            "pod",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice",
        ),
        ("/kubepods/burstable/odd/c", "pod", ""),
        ("/kubepods/burstable/c", "pod", ""),
    ],
)
def test_the_group_that_carries_the_weight(cgroup: str, level: Level, group: str) -> None:
    assert carrier(cgroup, level) == group


@pytest.mark.parametrize(
    ("victim", "group", "expected"),
    [
        ("/web", "/batch", True),
        ("/shop/web", "/shop/batch", True),
        ("/shop/web/worker", "/shop/batch", True),
        ("/shop", "/shop/batch", True),  # its own threads stand beside the group
        ("/web", "/slice/batch", False),
        ("/slice-a/web", "/slice/batch", False),
        ("/batch", "/batch", False),
        ("/batch/web", "/batch", False),
        ("/web", "", False),
        # S13: guaranteed beside the burstable slice; a pod within it beside another.
        ("/kubepods/pod1/c", "/kubepods/burstable/pod2", False),
        ("/kubepods/burstable/pod1/c", "/kubepods/burstable/pod2", True),
    ],
)
def test_weights_count_among_siblings_only(victim: str, group: str, expected: bool) -> None:
    assert helps(victim, group) is expected


def test_a_name_that_begins_alike_is_not_within() -> None:
    assert within("/a/b", "/a")
    assert within("/a", "/a")
    assert within("/a", "")
    assert not within("/ab", "/a")
