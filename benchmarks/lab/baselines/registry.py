"""From the fixed names of the lab's controllers to baselines."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.lab.baselines.captain import Captain
from benchmarks.lab.baselines.heracles import Heracles
from benchmarks.lab.baselines.koordlet import Koordlet
from benchmarks.lab.baselines.nothing import NoControl
from benchmarks.lab.baselines.oracle import Oracle
from benchmarks.lab.baselines.parties import Parties
from benchmarks.lab.baselines.perfiso import PerfIso
from benchmarks.lab.baselines.static import StaticQuota
from benchmarks.lab.baselines.together import Together
from benchmarks.lab.baselines.weights import Idle, Shares
from benchmarks.lab.plant import Baseline
from benchmarks.lab.run import Caps

_STATIC = "static-"
_MAKERS: dict[str, Callable[[], Baseline]] = {
    "none": NoControl,
    "shares": Shares,
    "idle": Idle,
    "koordlet": Koordlet,
    "heracles-15s": lambda: Heracles(15.0),
    "heracles-1s": lambda: Heracles(1.0),
    "parties": Parties,
    "captain": Captain,
    "perfiso": PerfIso,
}


def names() -> tuple[str, ...]:
    """All names that `make` knows; CORES stands for a number above 0."""
    return (*_MAKERS, "oracle", "static-CORES", "idle+static-CORES")


def make(name: str, caps: Caps | None = None) -> Baseline:
    """A new baseline. `caps` are for "oracle", which needs them. Raises ValueError for an unknown name."""
    if name == "oracle":
        if caps is None:
            raise ValueError("the oracle needs its caps; python -m benchmarks.lab.oracle finds them")
        return Oracle(caps)
    parts = [_make_one(part, name) for part in name.split("+")]
    return parts[0] if len(parts) == 1 else Together(parts)


def _make_one(part: str, name: str) -> Baseline:
    if part in _MAKERS:
        return _MAKERS[part]()
    if part.startswith(_STATIC):
        try:
            cores = float(part.removeprefix(_STATIC))
        except ValueError:
            cores = math.nan
        if 0 < cores < math.inf:
            return StaticQuota(cores)
    raise ValueError(f"no baseline {name!r}; there are {', '.join(names())}")
