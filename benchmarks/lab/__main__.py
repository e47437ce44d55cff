"""`python -m benchmarks.lab`; see --help."""

import sys

from benchmarks.lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
