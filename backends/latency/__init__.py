"""How long requests take: told by the application, or scraped from its Prometheus endpoint."""

ENOUGH_SAMPLES = 20
"""From so many on, a percentile over half the window is steady enough, and half as old."""
