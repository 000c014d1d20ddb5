"""The one conductor: calls the rooms in order, and alone posts to the ledger what they hand over."""
