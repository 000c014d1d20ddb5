"""Primitives about who may be paid, and what must hold."""
