"""Primitives about how money moves between purses."""
