"""What the engine knows and predicts. Imports numpy and scipy; does no I/O and reads no clock."""
