"""What is true: the journal, its accounts and period locks, and their verification."""
