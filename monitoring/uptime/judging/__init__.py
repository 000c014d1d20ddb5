"""Every moment of a device put under one cause and one state, with the reason.

Pure. `partition` cuts a period, `gaps` decides what no data tell by the device's own counter, `stops` reads
the outages off, `reasons` says why in words, `setting` names what is needed. What light there was is decided
in `monitoring.sky.light`, what the samples say in `told`; the store is read in `evaluation`.
"""
