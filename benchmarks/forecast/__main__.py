"""python -m benchmarks.forecast [--data DIR] [--traces NAME ...]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.forecast import report
from benchmarks.forecast.backtest import Windows
from benchmarks.forecast.compare import compare
from benchmarks.forecast.traces import NoData, load

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "reports" / "forecast" / "report.json"


def main() -> int:
    """Run the back-test. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecast",
        description="Back-test of the engine's forecast on real traces.",
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".." / "shared" / "data", help="the traces (%(default)s)"
    )
    parser.add_argument("--traces", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the figures go (%(default)s)")
    options = parser.parse_args()
    try:
        traces = load(options.data)
    except NoData as error:
        print(f"forecast: no data: {error}", file=sys.stderr)
        return 1
    if options.traces:
        traces = [trace for trace in traces if trace.name in options.traces]
    rows = compare(traces, Windows())
    print(report.table(rows))
    report.write(rows, options.report)
    print(f"\nfigures: {options.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
