"""Who decides: votes at the gates, in one's own name or another's, and who is waited for."""
