"""Primitives about how and where money enters: received components, advances, stakes."""
