"""Primitives about how an allocation is approved and booked."""
