"""Which containers are on the node: from a list, or by the names of their cgroups."""
