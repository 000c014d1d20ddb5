"""What comes with a statement beside its amounts: saved layouts, details, rows left out, and undo."""
