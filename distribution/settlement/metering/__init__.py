"""Readings of the revenue meter taken by a person, each with its photo."""
