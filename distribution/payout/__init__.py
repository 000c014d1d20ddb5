"""What went out: payouts, attempts, bank batches, return files."""
