"""What a node showed to the engine, kept in a file: written beside a loop that runs, and read in its place.

`tap` listens at the protocols, `file` writes behind the loop, `reader` reads, and `recorded` plays the parts
of the node that was recorded. `lines` says what a line of the file holds.
"""
