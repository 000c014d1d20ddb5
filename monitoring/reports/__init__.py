"""Tables and papers about running: what a page, a workbook, a CSV and a PDF print in the same figures."""
