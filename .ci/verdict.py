"""Adds up the pytest runs of a CI run from their JUnit files, and judges the skips.

Exits with 1 when a test failed, a run executed no test, or a skip is not among the expected ones.
Its last line is the plain summary; everything that is wrong is said before it.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main(results: Path, expected_file: Path) -> int:
    lines = expected_file.read_text().splitlines()
    expected = [line for line in lines if line and not line.startswith("#")]
    passed = failed = 0
    skips: list[str] = []
    problems: list[str] = []
    for file in sorted(results.glob("*.xml")):
        executed = 0
        for case in ElementTree.parse(file).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                executed += 1
                problems.append(f"failed: {name}")
            elif (skipped := case.find("skipped")) is not None:
                skips.append(f"{name}: {skipped.get('message')}")
            else:
                passed += 1
                executed += 1
        if executed == 0:
            problems.append(f"no test was executed in the run '{file.stem}'")
    if passed + failed == 0:
        problems.append("no test was executed at all")

    print(f"skips: {len(skips)}")
    for skip in skips:
        known = any(re.fullmatch(pattern, skip, re.DOTALL) for pattern in expected)
        print(f"  {'expected' if known else 'UNEXPECTED'}: {skip}")
        if not known:
            problems.append(f"a skip that .ci/expected-skips.txt does not name: {skip}")
    for problem in problems:
        print(f"PROBLEM {problem}")
    print(f"{passed} passed, {failed} failed, {len(skips)} skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
