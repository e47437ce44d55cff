"""What differs between v1 and v2 for the node: the names of files and where they are."""

from __future__ import annotations

from typing import Protocol

from backends.cgroup.cpu_group import CpuGroup


class Interface(Protocol):
    """Paths by group; None where the hierarchy is not mounted."""

    name: str

    def cpu_group(self, group: str, parent: CpuGroup | None) -> CpuGroup:
        """Open a group of the CPU hierarchy. Raises Gone or Refused."""

    def weight_of(self, shares: int) -> int:
        """So many v1 shares in the scale of this hierarchy's weights."""

    def memory_usage_path(self, group: str) -> str | None: ...

    def memory_limit_path(self, group: str) -> str | None: ...

    def cpuset_path(self, group: str) -> str | None: ...

    def threads_path(self, group: str) -> str:
        """The list of the group's thread ids."""

    def pressure_path(self, group: str) -> str | None:
        """The container's cpu.pressure; None when it has none now."""
