"""Back-test of models/forecast.py on real traces; see docs/forecast.md."""
