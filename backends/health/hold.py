"""How long an event that is over in a moment counts as a fault."""

HOLD_SECONDS = 60.0
