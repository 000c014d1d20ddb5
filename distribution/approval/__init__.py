"""Who agreed: runs, votes on a content hash, public notice, objections."""
