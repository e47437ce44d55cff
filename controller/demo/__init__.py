"""The demonstration: one online service, batch work beside it, a surge, and what a controller makes of it.

Everything here is workload and observer; nothing of it belongs to the engine, which is only one of the
controllers that an act can be run with.
"""
