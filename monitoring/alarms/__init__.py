"""What is wrong, since when, for which one cause, who knows of it, and what it cost in energy.

From outside: `reads` for lists (`alarms`, `alarm`, `history`), `acknowledging` for a person's word, `telling`
for sentences, `watch` for the scheduler. Thresholds are dated parameters (`rules`).
"""
