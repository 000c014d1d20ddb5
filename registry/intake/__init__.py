"""Intake of Excel and CSV lists with Chinese headers: dry run, commit, undo.

Owns how a list that an office keeps becomes registry facts. Files are read by `documents.reading`.
"""

from registry.intake.plans import Change, Outcome
from registry.intake.service import (
    LISTS,
    Batch,
    Preview,
    RowOutcome,
    Upload,
    batches,
    commit,
    marked_copy,
    preview,
    template,
    undo,
)
from registry.intake.tables import ImportBatchRow, ImportRowRow

__all__ = [
    "LISTS",
    "Batch",
    "Change",
    "ImportBatchRow",
    "ImportRowRow",
    "Outcome",
    "Preview",
    "RowOutcome",
    "Upload",
    "batches",
    "commit",
    "marked_copy",
    "preview",
    "template",
    "undo",
]
