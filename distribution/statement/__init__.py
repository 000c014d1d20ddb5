"""What people are shown: statements of a village, a household and a station, from the ledger."""
