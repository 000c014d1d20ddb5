"""Ground floor: database, time-series store, energy, jobs, events."""
