"""Every controller of the lab that is not quotapilot. `make(name)` builds one.

All are re-implemented from published parameters ("-like"): without LLC ways, frequencies and CPU sets, which
this lab does not move, and with the CPU quota of the batch work in place of whole cores.
"""

from benchmarks.lab.baselines.registry import make, names

__all__ = ["make", "names"]
