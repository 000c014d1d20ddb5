"""Is it running? States, availability, events, alarms."""
