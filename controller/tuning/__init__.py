"""`quotapilot tune`: searches gains on simulated situations, or on the twin of a recording.

`situation` what is played, `twin` the situation of a recording, `outcome` what a configuration makes of it,
`space` which keys may be moved how far, `search` the search, `gain` what was won on what it did not see.
"""
