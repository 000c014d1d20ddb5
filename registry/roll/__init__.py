"""The roll of households over time: what happened to them, how they are reviewed, what they have earned.

Owns events, reviews, measures (points, stars) and the comparison with lists of other departments. The
households themselves are `registry.households`', enrolments `registry.enrolment`'s.
"""
