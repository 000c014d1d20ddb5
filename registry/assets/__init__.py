"""What a station is beyond its machines: its file, its owners, its exchanged meters.

Owns dated facts about stations that no other page of the registry holds. The stations, devices and meters
themselves are `registry.stations`'.
"""
