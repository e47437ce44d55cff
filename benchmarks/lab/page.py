"""The page of results, as Markdown, from rows of figures alone."""

from __future__ import annotations

import math
import statistics as plain
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.lab.rows import Row, natural, values
from benchmarks.lab.statistics import LEAST_PAIRS, Interval, median_interval
from benchmarks.lab.verdicts import (
    NOT_MEASURED,
    OURS,
    controllers_of,
    difference,
    proves_better,
    scenarios_of,
    text,
    verdicts,
)

# (figure, title, factor, digits): medians over the seeds.
_COLUMNS = (
    ("violation_seconds", "over SLO (s)", 1, 1),
    ("over_slo_ratio", "requests over SLO (%)", 100, 1),
    ("p95_surge_seconds", "p95 in surge (ms)", 1000, 0),
    ("offline_work_vs_oracle_ratio", "work / oracle", 1, 2),
    ("time_to_first_cut_seconds", "first cut (s)", 1, 1),
    ("time_to_recover_seconds", "recovered (s)", 1, 1),
    ("time_to_give_back_seconds", "given back (s)", 1, 1),
    ("limit_changes_per_minute", "changes / min", 1, 1),
    ("reversals_per_minute", "reversals / min", 1, 1),
    ("wrong_actions", "wrong actions", 1, 0),
)
_WITH_INTERVAL = ("violation_seconds", "offline_work_vs_oracle_ratio")
# Within this much of the least violation seconds, the static setting with the most work is the best one.
_AS_GOOD_SECONDS = 1.0


def make_page(
    rows: list[Row],
    *,
    expected: dict[str, set[str]],
    about: Mapping[str, str],
    pictures: Callable[[str], list[Path]],
) -> str:
    """The whole page. `expected`: controllers by scenario that are to be there, measured or not; `about`:
    what each scenario is; `pictures`: those of a scenario, as paths relative to the page."""
    valid = [row for row in rows if row["valid"]]
    parts = [
        _head(rows),
        "## What it must show\n",
        _table(
            ("what it must show", "verdict", "figures"),
            [(f.line, f"**{f.verdict}**", f.figures) for f in verdicts(rows)],
        ),
        "## Scenario by scenario\n",
        _how_to_read(),
    ]
    for scenario in sorted({*scenarios_of(rows), *expected}, key=natural):
        parts.append(f"### {scenario}\n")
        if scenario in about:
            parts.append(f"{about[scenario]}\n")
        parts.append(_scenario(valid, scenario, expected.get(scenario, set()), pictures(scenario)))
    parts += ["## What each part of the engine is worth\n", _ablation(valid, expected)]
    parts += ["## What the agent costs\n", _cost(valid)]
    parts += ["## Runs that do not count\n", _spoilt(rows)]
    return "\n".join(parts).rstrip() + "\n"


def summary(rows: list[Row]) -> str:
    """The verdicts in plain lines, for the terminal."""
    return "\n".join(f"{found.verdict:>13}  {found.line}: {found.figures}" for found in verdicts(rows))


def _head(rows: list[Row]) -> str:
    valid = sum(row["valid"] for row in rows)
    spoilt = len(rows) - valid
    machines = sorted({row["machine"] for row in rows})
    ours = Counter(row["commit"] for row in rows if row["valid"] and row["controller"].startswith(OURS))
    backends = sorted({row["backend"] for row in rows})
    told = ", ".join(f"{name} ({count})" for name, count in ours.most_common())
    mixed = (
        "\n**Runs of several commits are mixed: what differs may be the code.**\n" if len(ours) > 1 else ""
    )
    return f"""# The lab's results

`python -m benchmarks.lab report --docs` writes this page from the runs on disk, and
`python -m benchmarks.lab report --from docs/data/lab-runs.jsonl --docs` writes it anew from their figures.
Every controller gets the same processes, the same arrivals and the same measurements; an observer outside the
engine takes all figures. koordlet, heracles, parties, captain and perfiso are "-like": re-implemented from
what is published about them. Losses stay in.

{valid} valid runs on {", ".join(backends) or "nothing"}; {spoilt} do not count (see the end).
Machine: {"; ".join(machines) or "-"}. Commits of quotapilot's runs: {told or "-"}.
{mixed}"""


def _how_to_read() -> str:
    return """Medians over the seeds, with the bootstrap 95 % interval of the median in brackets (with five
seeds: from the least to the greatest). Δ is the controller's minus quotapilot's, paired by seed: more
seconds and less work than quotapilot is worse. *dominates*: fewer violation seconds and more offline work
than quotapilot, both intervals excluding zero; *dominated*: the other way round. *O2*: the best static quota
in hindsight. *Over SLO*: seconds with the p95 of the last second above the SLO. Times count from the onset
without control, "given back" from the end of the pressure. Work is relative to the clairvoyant oracle or,
where the right answer is to cut nobody, to no control. "-": nothing to tell; *never*: it did not come about.
"""


def _scenario(rows: list[Row], scenario: str, expected: set[str], pictures: list[Path]) -> str:
    found = [row for row in rows if row["scenario"] == scenario]
    names = sorted(controllers_of(found, scenario), key=_order)
    missing = sorted(expected - set(names), key=_order)
    lines = []
    if found:
        answers = {"cut": "cut the peers", "raise-own": "raise its own limit", "nothing": "do nothing"}
        slos = sorted({f"{row['slo_seconds'] * 1000:.0f} ms" for row in found})
        lines.append(f"SLO {', '.join(slos)}. Right answer: {answers[found[0]['answer']]}.\n")
    best = _best_static(found, scenario)
    titles = ("controller", "seeds", *(column[1] for column in _COLUMNS), "Δ over SLO (s)", "Δ work", "")
    if names:
        lines.append(_table(titles, [_controller(found, scenario, name, best) for name in names]))
    if missing:
        lines.append(f"Not measured: {', '.join(missing)}.\n")
    lines += [f"![{picture.stem}]({picture.as_posix()})\n" for picture in pictures]
    return "\n".join(lines)


def _controller(rows: list[Row], scenario: str, name: str, best: str | None) -> list[str]:
    seeds = [row["seed"] for row in rows if row["controller"] == name]
    cells = [f"**{name}**" if name == OURS else name, str(len(seeds))]
    for key, _, factor, digits in _COLUMNS:
        found = median_interval([factor * value for value in values(rows, scenario, name, key).values()])
        if found is None:
            cells.append("-")
        elif key in _WITH_INTERVAL:
            cells.append(text(found, digits=digits))
        else:
            cells.append(_number(found.median, digits))
    if name == OURS:
        return [*cells, "", "", ""]
    cells.append(_delta(difference(rows, scenario, name, OURS, "violation_seconds"), 1))
    cells.append(_delta(difference(rows, scenario, name, OURS, "offline_work_vs_oracle_ratio"), 2))
    marks = []
    if name not in ("alone", "oracle"):
        marks += ["dominates"] if proves_better(rows, scenario, name, OURS) else []
        marks += ["dominated"] if proves_better(rows, scenario, OURS, name) else []
    return [*cells, ", ".join(marks + (["O2"] if name == best else []))]


def _best_static(rows: list[Row], scenario: str) -> str | None:
    """Oracle O2: of the static quotas with nearly the fewest violation seconds the one with the most work."""
    known = {}
    for name in controllers_of(rows, scenario):
        seconds = values(rows, scenario, name, "violation_seconds").values()
        work = values(rows, scenario, name, "offline_work_vs_oracle_ratio").values()
        if name.startswith("static-") and seconds and work:
            known[name] = plain.median(seconds), plain.median(work)
    if not known:
        return None
    least = min(seconds for seconds, _ in known.values())
    return max(
        (name for name in known if known[name][0] <= least + _AS_GOOD_SECONDS), key=lambda n: known[n][1]
    )


def _ablation(rows: list[Row], expected: dict[str, set[str]]) -> str:
    """Each configuration against the defaults, over all scenarios and seeds that both have."""
    names = {row["controller"] for row in rows} | {name for found in expected.values() for name in found}
    variants = sorted(name for name in names if name.startswith(f"{OURS}-"))
    lines = []
    for variant in variants:
        pairs = [(scenario, variant) for scenario in scenarios_of(rows)]
        seconds = _pooled(rows, pairs, "violation_seconds")
        if not seconds:
            lines.append([variant, "0", NOT_MEASURED, "", "", "", "", ""])
            continue
        work = _pooled(rows, pairs, "offline_work_vs_oracle_ratio")
        changes = _pooled(rows, pairs, "limit_changes_per_minute")
        wrong = _pooled(rows, pairs, "wrong_actions")
        worse = [scenario for scenario, _ in pairs if _shifted(rows, scenario, variant) > 0]
        better = [scenario for scenario, _ in pairs if _shifted(rows, scenario, variant) < 0]
        lines.append(
            [
                variant,
                str(len(seconds)),
                f"{_mean(seconds):+.2f} ({_delta(median_interval(seconds), 1)})",
                f"{_mean(work):+.3f} ({_delta(median_interval(work), 2)})",
                f"{_mean(changes):+.2f}",
                f"{sum(wrong):+.0f}",
                ", ".join(worse) or "none",
                ", ".join(better) or "none",
            ]
        )
    if not lines:
        return f"{NOT_MEASURED}\n"
    told = (
        "Each configuration minus the defaults, paired by scenario and seed: mean (median [95 % interval]).\n"
        "A part is worth something where it is worse without: more violation seconds or less work, the\n"
        "interval of one excluding zero and that of the other not speaking against it.\n"
    )
    titles = (
        "configuration",
        "pairs",
        "Δ over SLO (s)",
        "Δ work",
        "Δ changes / min",
        "Δ wrong actions, all",
        "worse without in",
        "better without in",
    )
    return f"{told}\n{_table(titles, lines)}"


def _shifted(rows: list[Row], scenario: str, variant: str) -> int:
    """+1: proven worse in one of violation seconds and work, and in neither better; -1: better."""
    seconds = difference(rows, scenario, variant, OURS, "violation_seconds")
    work = difference(rows, scenario, variant, OURS, "offline_work_vs_oracle_ratio")
    signs = [
        0 if f is None or f.count < LEAST_PAIRS else f.above_zero - f.below_zero for f in (seconds, work)
    ]
    shift = signs[0] - signs[1]
    return 0 if signs[0] * signs[1] > 0 else (shift > 0) - (shift < 0)


def _pooled(rows: list[Row], pairs: Iterable[tuple[str, str]], key: str) -> list[float]:
    found: list[float] = []
    for scenario, variant in pairs:
        ours, theirs = values(rows, scenario, variant, key), values(rows, scenario, OURS, key)
        found += [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    return [value for value in found if math.isfinite(value)]


def _cost(rows: list[Row]) -> str:
    ours = [row for row in rows if row["controller"].startswith(OURS)]
    lines = []
    for name in sorted({row["controller"] for row in ours}):
        cpu = [row["agent_cpu_ratio"] for row in ours if row["controller"] == name]
        memory = [row["agent_memory_bytes"] for row in ours if row["controller"] == name]
        cpu, memory = [v for v in cpu if v is not None], [v for v in memory if v is not None]
        restored = sum(row["restored"] for row in ours if row["controller"] == name)
        runs = sum(row["controller"] == name for row in ours)
        lines.append(
            [
                name,
                f"{100 * plain.median(cpu):.1f}" if cpu else "-",
                f"{plain.median(memory) / 2**20:.0f}" if memory else "-",
                f"{restored} of {runs}",
            ]
        )
    if not lines:
        return f"{NOT_MEASURED}\n"
    return _table(("configuration", "CPU (% of one CPU)", "memory (MiB)", "everything restored"), lines)


def _spoilt(rows: list[Row]) -> str:
    found = [row for row in rows if not row["valid"]]
    if not found:
        return "None.\n"
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    for row in found:
        why = _one_line(row["failure"] or "; ".join(row["reasons"]))
        kind = "failed" if row["failure"] else "invalid"
        seeds.setdefault((row["scenario"], row["controller"], kind, why), []).append(row["seed"])
    lines = [
        [scenario, controller, ", ".join(map(str, sorted(known))), kind, why]
        for (scenario, controller, kind, why), known in seeds.items()
    ]
    return _table(("scenario", "controller", "seeds", "", "why"), lines)


def _table(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    rendered = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    rendered += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    return "\n".join(rendered) + "\n"


def _order(name: str) -> tuple[int, list[tuple[str, float]]]:
    """Ours first, then the bounds, then the rivals, then the ablations."""
    rank = {OURS: 0, f"{OURS}-quota": 1, "oracle": 2, "alone": 3, "none": 4}
    return rank.get(name, 6 if name.startswith(OURS) else 5), natural(name)


def _delta(found: Interval | None, digits: int) -> str:
    return "-" if found is None else text(found, digits=digits, signed=True)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "never"


def _mean(found: list[float]) -> float:
    return plain.fmean(found) if found else math.nan


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 160 else f"{line[:157]}..."
