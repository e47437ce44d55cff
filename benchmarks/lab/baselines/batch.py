"""The batch group: the published controllers set one total for all batch work, the lab has several peers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks.lab.baselines.usage import UsageMeter
from benchmarks.lab.plant import Plant

LEAST_CORES = 0.01
"""The kernel's least quota, 1 ms of 100 ms: as near to "no CPU" as a quota gets."""

CORES_OF_A_MACHINE = 20
"""A published step of one core was one of tens. Here a step is this part of the machine."""

_AT_LIMIT_RATIO = 0.9
_HEADROOM_RATIO = 1.25
_MOVE_RATIO = 0.1
_MEASURE_SECONDS = 0.5


def split(total_cores: float, use: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    """The total, shared among the peers by what they use, as if they were in one group under one quota.

    There equal siblings get what they want up to an equal share, and what one leaves the others have
    (max-min fair). A peer that uses up its limit wants more, any other a quarter more than it uses and the
    least quota at least, by which it can show that it woke; what is left over is shared evenly. Plain
    proportion to use would keep a peer that woke small for as long as the others are busy.
    """
    shares: dict[str, float] = {}
    left = total_cores
    wants = {
        name: math.inf
        if cores >= _AT_LIMIT_RATIO * limits[name]
        else max(_HEADROOM_RATIO * cores, LEAST_CORES)
        for name, cores in use.items()
    }
    for name in sorted(wants, key=wants.__getitem__):
        shares[name] = min(wants[name], left / (len(wants) - len(shares)))
        left -= shares[name] if math.isfinite(shares[name]) else 0.0
    if math.isinf(total_cores):
        return dict.fromkeys(use, math.inf)
    return {name: shares[name] + max(0.0, left) / len(shares) for name in use}


class BatchGroup:
    """The peers under one total. Make it in a baseline's `start`; nothing is written before `set_total`."""

    def __init__(self, plant: Plant, now_seconds: float) -> None:
        self.total_cores = math.inf
        self._meter = UsageMeter(plant, plant.peers, now_seconds)
        self._shares = dict.fromkeys(plant.peers, math.inf)

    def set_total(self, plant: Plant, cores: float, now_seconds: float) -> None:
        """Share `cores` (inf: no limit; never below the least quota) and write the peers' limits.

        With an unchanged total the shares are written anew only when one has moved by a tenth of it: every
        write of a quota refills the group's runtime.
        """
        cores = max(cores, LEAST_CORES * len(plant.peers))
        shares = split(cores, self._meter.read(plant, now_seconds, _MEASURE_SECONDS), self._shares)
        if cores == self.total_cores and not self._moved(shares):
            return
        self.total_cores, self._shares = cores, shares
        for name, share in shares.items():
            plant.set_limit(name, share)

    def _moved(self, shares: Mapping[str, float]) -> bool:
        if math.isinf(self.total_cores):
            return False
        least = _MOVE_RATIO * self.total_cores
        return any(abs(share - self._shares[name]) > least for name, share in shares.items())
