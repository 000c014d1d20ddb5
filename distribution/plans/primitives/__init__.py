"""One pure file per allocation primitive."""
