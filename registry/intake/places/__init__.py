"""Lists about places: divisions, stations and their files, devices, meters, owners."""
