"""How long requests take: told by the application, or scraped from its Prometheus endpoint."""
