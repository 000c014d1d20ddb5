"""What the village is shown: notices, objections, days that count, filings and results."""
