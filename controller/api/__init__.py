"""The HTTP API: what the agent shows, and the few things an operator or an application may tell it."""
