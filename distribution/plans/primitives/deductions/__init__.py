"""Primitives about what is taken off before distribution."""
