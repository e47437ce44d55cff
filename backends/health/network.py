"""The node's links and default routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

# Ends of containers' and virtual machines' links: these come and go with their owners.
_VIRTUAL_LINK = re.compile(
    r"lo$|veth|docker|br-|virbr|vnet|tap|lxc|lxd|podman|nerdctl|ifb|dummy|cni|cali|cilium|flannel|tunl|vxlan"
    r"|antrea|kube-|nodelocaldns|azv|gke|eni[0-9a-f]{11}"
)


class Network:
    """Links that went down and default routes that were lost since the start.

    An interface that vanished counts only if it carried a default route. The node stays connected while it
    has any default route, IPv4 or IPv6, whichever interface that is on. A bond's ports are there to be lost:
    the bond itself counts.
    """

    def __init__(self, proc: Path, sys: Path) -> None:
        self._tables = {proc / "net/route": _ipv4_defaults, proc / "net/ipv6_route": _ipv6_defaults}
        self._defaults: dict[Path, set[str]] = {}
        self._links = sys / "class/net"
        self._gateways = self._default_interfaces()
        names = sorted(path.name for path in self._links.iterdir()) if self._links.is_dir() else []
        self._up = [name for name in names if self._was_up(name)]

    def faults(self) -> Iterator[str]:
        for name in self._up:
            state = self._state(name)
            # Without its own directory it has vanished, unless all of sysfs has.
            vanished = state is None and self._links.is_dir() and not (self._links / name).exists()
            if state in ("down", "lowerlayerdown", "notpresent") or (vanished and name in self._gateways):
                yield f"link-lost: {name}"
        if self._gateways and not self._default_interfaces():
            yield "default-route-lost"

    def _was_up(self, name: str) -> bool:
        virtual = _VIRTUAL_LINK.match(name) and name not in self._gateways
        in_bond = (self._links / name / "bonding_slave").exists()
        return not virtual and not in_bond and self._state(name) in ("up", "unknown")

    def _state(self, name: str) -> str | None:
        """RFC 2863's operational state. Drivers that can't tell, as of tunnels, say "unknown" while up."""
        try:
            return (self._links / name / "operstate").read_text().strip()
        except OSError:
            return None

    def _default_interfaces(self) -> set[str]:
        """The interfaces with a default route. A table that can't be read stands as it last was."""
        for file, interfaces in self._tables.items():
            try:
                self._defaults[file] = interfaces(file.read_text())
            except (OSError, ValueError, IndexError):
                continue
        return set().union(*self._defaults.values())


_RTF_UP = 0x0001
_RTF_REJECT = 0x0200


def _ipv4_defaults(table: str) -> set[str]:
    """/proc/net/route: interface, destination, gateway, flags, ..., mask as the eighth field; hexadecimal."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[0] for row in rows if row[1] == "00000000" == row[7] and _usable(row[3])}


def _ipv6_defaults(table: str) -> set[str]:
    """/proc/net/ipv6_route: destination, its prefix length, ..., flags, interface; hexadecimal."""
    rows = [line.split() for line in table.splitlines()]
    return {row[9] for row in rows if row[0] == "0" * 32 and row[1] == "00" and _usable(row[8])}


def _usable(flags: str) -> bool:
    return int(flags, 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP
