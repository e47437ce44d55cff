"""The node through the kernel's cgroup files: v1, v2 and hybrid. Start with `open_node`."""

from backends.cgroup.layout import Layout, LayoutError, load_layout
from backends.cgroup.node import CgroupNode
from backends.cgroup.opening import open_node

__all__ = ["CgroupNode", "Layout", "LayoutError", "load_layout", "open_node"]
