"""What the lab must show, line by line, computed from the rows: held, not held, or not measured.

A line is held when every run that it speaks of holds it, on at least five seeds (ten for the culprit), or
where it speaks of medians or intervals, these do. What is missing makes a line "not measured", never "held".
"""

from __future__ import annotations

import statistics as plain
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.lab.rows import Row, family, natural, values
from benchmarks.lab.statistics import LEAST_PAIRS, Interval, dominates, non_inferior, paired_difference

OURS = "quotapilot"
RUNG_0 = ("idle", "shares")
# Not to be compared with: no peers at work, and what knows the future.
NO_RIVALS = ("alone", "oracle")
LEAST_SEEDS = LEAST_PAIRS
CULPRIT_SEEDS = 10
MARGIN_RATIO = 0.05

HELD, NOT_HELD, NOT_MEASURED = "held", "not held", "not measured"

_QUICK = ("S1", "S2", "S12", "S13")
_HANDS_OFF = ("S5", "S6", "S10", "S11", "S14")


@dataclass(frozen=True)
class Verdict:
    """One line: what it demands, the verdict, and the figures that it comes from."""

    line: str
    verdict: str
    figures: str


@dataclass(frozen=True)
class _Part:
    """A line in one scenario. `holds` None: too little was measured."""

    scenario: str
    holds: bool | None
    figures: str


def verdicts(rows: list[Row]) -> list[Verdict]:
    """All lines of the protocol's "What it must show", in its order."""
    return [
        _line("not dominated by any baseline, in any scenario", _not_dominated(rows)),
        _line(
            f"among siblings at most {MARGIN_RATIO:.0%} worse than cpu.idle and cpu.shares: "
            "violation seconds (of the time judged), offline work",
            _non_inferior(rows),
        ),
        _line(
            "S12, S13: fewer violation seconds than cpu.idle and cpu.shares",
            _clearly_better(rows),
            families=("S12", "S13"),
        ),
        _line("first cut at most 2 s after the onset", _each(rows, _QUICK, _first_cut), families=_QUICK),
        _line(
            "recovered at most 5 s after the onset, or first cut + 1.5 x drain time",
            _each(rows, _QUICK, _recovered),
            families=_QUICK,
        ),
        _line("offline work at least 0.9 of the oracle's (median)", _work(rows), families=_QUICK),
        _line("given back within 15 s of the release", _each(rows, _QUICK, _given_back), families=_QUICK),
        _line(
            "no wrong action",
            _each(
                rows,
                _HANDS_OFF,
                lambda row: (row["wrong_actions"] == 0, row["wrong_actions"]),
                hands_off=True,
            ),
            families=_HANDS_OFF,
        ),
        _line("S7: the guilty peer first in at least 9 of 10", _culprit(rows), families=("S7",)),
        _line(
            "S4: at most 2 reversals a minute",
            _each(rows, ("S4",), lambda row: (row["reversals_per_minute"] <= 2, row["reversals_per_minute"])),
            families=("S4",),
        ),
    ]


def difference(rows: list[Row], scenario: str, ours: str, theirs: str, key: str) -> Interval | None:
    """Ours minus theirs, paired by seed."""
    return paired_difference(values(rows, scenario, ours, key), values(rows, scenario, theirs, key))


def proves_better(rows: list[Row], scenario: str, ours: str, theirs: str) -> bool:
    """Whether ours has fewer violation seconds and more offline work, both intervals excluding zero."""
    return dominates(
        difference(rows, scenario, ours, theirs, "violation_seconds"),
        difference(rows, scenario, ours, theirs, "offline_work_vs_oracle_ratio"),
    )


def scenarios_of(rows: Iterable[Row]) -> list[str]:
    """All names, S2 before S10."""
    return sorted({row["scenario"] for row in rows}, key=natural)


def controllers_of(rows: Iterable[Row], scenario: str) -> list[str]:
    """All that ran in a scenario."""
    return sorted({row["controller"] for row in rows if row["scenario"] == scenario}, key=natural)


def _line(text: str, parts: list[_Part], *, families: tuple[str, ...] = ()) -> Verdict:
    missing = [name for name in families if name not in {family(part.scenario) for part in parts}]
    told = [f"{part.scenario}: {part.figures}" for part in parts] + [
        f"{name}: not measured" for name in missing
    ]
    if any(part.holds is False for part in parts):
        verdict = NOT_HELD
    elif not parts or missing or any(part.holds is None for part in parts):
        verdict = NOT_MEASURED
    else:
        verdict = HELD
    return Verdict(text, verdict, "; ".join(told) or "no runs")


def _ours(rows: list[Row], scenario: str) -> list[Row]:
    return [
        row for row in rows if (row["scenario"], row["controller"], row["valid"]) == (scenario, OURS, True)
    ]


def _each(
    rows: list[Row],
    families: tuple[str, ...],
    judge: Callable[[Row], tuple[bool | None, float | None]],
    *,
    hands_off: bool = False,
) -> list[_Part]:
    """Every run must hold it; the judge says if one does (None: nothing to judge) and by which figure."""
    parts = []
    for scenario in scenarios_of(rows):
        found = _ours(rows, scenario)
        if family(scenario) not in families or not found or (hands_off and found[0]["answer"] == "cut"):
            continue
        judged = [judge(row) for row in found]
        known = [holds for holds, _ in judged if holds is not None]
        figures = [figure for holds, figure in judged if holds is not None and figure is not None]
        failed = known.count(False)
        holds = False if failed else (True if len(known) >= LEAST_SEEDS else None)
        worst = f", worst {max(figures):.2f}" if figures else ""
        parts.append(_Part(scenario, holds, f"{len(known) - failed} of {len(known)} seeds{worst}"))
    return parts


def _first_cut(row: Row) -> tuple[bool | None, float | None]:
    if row["onset_at_seconds"] is None:
        return None, None
    cut = row["time_to_first_cut_seconds"]
    if cut is None:
        # Nothing needed to be cut where the SLO was never violated.
        return row["time_to_recover_seconds"] == 0, None
    return cut <= 2.0, cut


def _recovered(row: Row) -> tuple[bool | None, float | None]:
    if row["onset_at_seconds"] is None:
        return None, None
    took = row["time_to_recover_seconds"]
    if took is None:
        return False, None
    bound = row["recover_bound_seconds"]
    return took <= max(5.0, bound if bound is not None else 5.0), took


def _given_back(row: Row) -> tuple[bool | None, float | None]:
    took = row["time_to_give_back_seconds"]
    if took is None:
        return (None if row["gave_back"] is None else row["gave_back"]), None
    return took <= 15.0, took


def _work(rows: list[Row]) -> list[_Part]:
    parts = []
    for scenario in scenarios_of(rows):
        found = list(values(rows, scenario, OURS, "offline_work_vs_oracle_ratio").values())
        if family(scenario) not in _QUICK or not found:
            continue
        median = plain.median(found)
        holds = median >= 0.9 if len(found) >= LEAST_SEEDS else None
        parts.append(_Part(scenario, holds, f"{median:.2f} over {len(found)} seeds"))
    return parts


def _culprit(rows: list[Row]) -> list[_Part]:
    parts = []
    for scenario in scenarios_of(rows):
        found = [row["culprit_first"] for row in _ours(rows, scenario)]
        if family(scenario) != "S7" or not found:
            continue
        right = found.count(True)
        # A run in which nobody was touched did not find the culprit either.
        if len(found) - right > 0.1 * max(len(found), CULPRIT_SEEDS):
            holds: bool | None = False
        else:
            holds = True if len(found) >= CULPRIT_SEEDS else None
        parts.append(_Part(scenario, holds, f"{right} of {len(found)}"))
    return parts


def _not_dominated(rows: list[Row]) -> list[_Part]:
    parts = []
    for scenario in scenarios_of(rows):
        rivals = [
            name
            for name in controllers_of(rows, scenario)
            if not name.startswith(OURS) and name not in NO_RIVALS
        ]
        pairs = {
            name: found.count
            for name in rivals
            if (found := difference(rows, scenario, name, OURS, "offline_work_vs_oracle_ratio")) is not None
        }
        if not pairs:
            continue
        winners = [name for name in pairs if proves_better(rows, scenario, name, OURS)]
        holds = False if winners else (True if min(pairs.values()) >= LEAST_SEEDS else None)
        told = (
            f"dominated by {', '.join(winners)}"
            if winners
            else f"none of {len(pairs)} on {min(pairs.values())}+ seeds"
        )
        parts.append(_Part(scenario, holds, told))
    return parts


def _non_inferior(rows: list[Row]) -> list[_Part]:
    parts = []
    for scenario in scenarios_of(rows):
        found = _ours(rows, scenario)
        if not found or not found[0]["siblings"] or found[0]["answer"] != "cut":
            continue
        for rival in RUNG_0:
            violation = difference(rows, scenario, OURS, rival, "violation_seconds")
            work = difference(rows, scenario, OURS, rival, "offline_work_vs_oracle_ratio")
            if violation is None or work is None:
                continue
            theirs = plain.median(values(rows, scenario, rival, "offline_work_vs_oracle_ratio").values())
            good = non_inferior(
                violation, MARGIN_RATIO * found[0]["judged_seconds"], more_is_better=False
            ) and non_inferior(work, MARGIN_RATIO * theirs, more_is_better=True)
            holds = good if min(violation.count, work.count) >= LEAST_SEEDS else None
            parts.append(
                _Part(
                    f"{scenario} against {rival}",
                    holds,
                    f"{text(violation)} s, work {text(work, signed=True)}",
                )
            )
    return parts


def _clearly_better(rows: list[Row]) -> list[_Part]:
    parts = []
    for scenario in scenarios_of(rows):
        if family(scenario) not in ("S12", "S13"):
            continue
        for rival in RUNG_0:
            found = difference(rows, scenario, OURS, rival, "violation_seconds")
            holds = None if found is None or found.count < LEAST_SEEDS else found.below_zero
            parts.append(_Part(f"{scenario} against {rival}", holds, f"{text(found, signed=True)} s"))
    return parts


def text(interval: Interval | None, *, digits: int = 2, signed: bool = False) -> str:
    """median [low, high], as the page has it."""
    if interval is None:
        return NOT_MEASURED

    def number(value: float) -> str:
        if value in (float("inf"), float("-inf")):
            return "never" if value > 0 else "-never"
        return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"

    if interval.count == 1:
        return f"{number(interval.median)} (1 seed)"
    return f"{number(interval.median)} [{number(interval.low)}, {number(interval.high)}]"
