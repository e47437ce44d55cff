"""The hard bounds alone."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from controller.bounds import Budget, lowered, raised
from models.container import CpuLimit

limits = st.builds(
    CpuLimit,
    st.none() | st.integers(1_000, 10_000_000),
    st.sampled_from([1_000, 20_000, 50_021, 100_000, 1_000_000]),
)
floors = st.floats(0, 64)
any_cores = st.floats(allow_nan=True, allow_infinity=True)


@given(limits, floors, st.integers(1, 256), any_cores)
def test_a_cut_is_between_floor_and_base(base: CpuLimit, floor: float, cpus: int, cores: float) -> None:
    limit = lowered(base, floor, cpus, cores)
    assert limit.period_us == base.period_us
    assert limit.cores <= base.cores
    assert limit.cores >= min(base.cores, floor) - 1e-9


@given(limits, st.lists(st.floats(0, 1e6), min_size=1), any_cores)
def test_a_raise_is_between_base_and_every_ceiling(
    base: CpuLimit, ceilings: list[float], cores: float
) -> None:
    limit = raised(base, ceilings, cores)
    assert limit.period_us == base.period_us
    assert base.cores <= limit.cores <= max(base.cores, min(ceilings) + 1e-9)


@given(
    st.floats(0, 16),
    st.lists(
        st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4), st.booleans()), min_size=3, max_size=3),
        max_size=8,
    ),
)
def test_never_more_is_taken_than_there_is(
    most: float, rounds: list[list[tuple[float, float, bool]]]
) -> None:
    """Whichever of the writes of a round are made, and in whatever order, as none may be counted on."""
    taken = [0.0, 0.0, 0.0]
    for wishes in rounds:
        budget = Budget(most, sum(taken))
        allowed = [
            max(0.0, reference - budget.lowest(reference, now, cores))
            for now, (reference, cores, _) in zip(taken, wishes, strict=True)
        ]
        for n, (_, _, made) in enumerate(wishes):
            taken[n] = allowed[n] if made else taken[n]
            assert sum(taken) <= most + 1e-9


def test_a_smaller_budget_is_kept_to_step_by_step() -> None:
    budget = Budget(1.0, 1.5)
    assert budget.lowest(2.0, 1.0, 1.0) == 1.5
    assert budget.lowest(2.0, 0.5, 1.5) == 1.5


def test_no_number_changes_nothing() -> None:
    base = CpuLimit(200_000)
    assert lowered(base, 0.1, 4, math.nan) == raised(base, [4.0], math.nan) == base
