"""Does the demo hold its promises every time? Runs it several times and judges each run."""
