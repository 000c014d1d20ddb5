"""Primitives about how purses pay households, people and works."""
