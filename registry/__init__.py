"""Who and what exists (台账), and which dated values apply."""
