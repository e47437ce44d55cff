"""The node as it is, behind the small protocols of `backends.base`."""
