"""One file per page; its template in templates/ has the same stem."""
