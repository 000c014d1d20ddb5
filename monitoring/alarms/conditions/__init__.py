"""What is wrong, from the evidence: with one inverter now, with many together, over closed days.

From outside: `findings` (the record), `momentary`, `grouping`, `days`. What becomes of a finding is
decided by `monitoring.alarms.lifecycle`.
"""

from monitoring.alarms.conditions.findings import Finding, Standing, Subject

__all__ = ["Finding", "Standing", "Subject"]
