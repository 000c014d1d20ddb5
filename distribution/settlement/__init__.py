"""What came in: grid statements, tariffs, receivables, receipts, reconciliation."""
