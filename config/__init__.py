"""The shipped configuration files. `default.yaml` holds every key with its default value, explained."""
