"""The lab: controllers against each other, on the same processes, arrivals and measurements.

scenario  what happens (scenarios/*.yaml)         variants/  quotapilot's configurations
plant     what a controller sees and may move     baselines/ every other controller, one file each
run       what one run left                       plans/     which scenarios with which controllers and seeds

`python -m benchmarks.lab run` (cli, campaign) runs a plan and leaves runs on disk (store); `... report` is
made of figures (of a run), rows (of all), statistics (of pairs), verdicts (what must be shown), plots, page.

The stage runs a scenario on real cgroups: tree (its groups), servers and nginx (its services), batch (its
peers), client (load on a server that is not ours), controllers (who acts), speed (of this machine).
`python -m benchmarks.lab.ground_truth` measures which peers really hurt a scenario's victim.
"""
