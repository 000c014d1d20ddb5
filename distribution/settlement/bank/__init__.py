"""Lines of the county's bank account, and which receivables each of them pays."""
