"""The policy engine: it decides, writes, remembers and reports."""

__version__ = "0.1.0"
