"""The lab: controllers against each other, on the same processes, arrivals and measurements.

scenario  what happens (scenarios/*.yaml)         variants/  quotapilot's configurations
plant     what a controller sees and may move     baselines/ every other controller, one file each
run       what one run left
"""
