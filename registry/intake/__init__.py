"""Intake of Excel and CSV lists with Chinese headers: dry run, commit, undo.

Owns how a list that an office keeps becomes registry facts. Files are read by `documents.reading`.
"""

from registry.intake.tables import ImportBatchRow, ImportRowRow

__all__ = ["ImportBatchRow", "ImportRowRow"]
