"""A scenario of a few seconds, with a bit of everything."""

from __future__ import annotations

from benchmarks.lab.scenario import Scenario

SMALL = Scenario.model_validate(
    {
        "name": "small",
        "title": "a few seconds of everything",
        "why": "to test the stage",
        "seconds": 6,
        "warm_up_seconds": 1,
        "surge_seconds": [2, 6],
        "slices": {"/slice": 512},
        "online": [{"group": "/slice/web", "load": [[0, 0.5]], "limit_cores": 1.5}],
        "peers": [
            {"name": "batch", "group": "/slice/batch", "workers": 4, "active": [[1, 6]]},
            {"name": "light", "group": "/light", "workers": 1, "duty": 0.2, "weight": 2, "cpus": [0]},
        ],
    }
)
