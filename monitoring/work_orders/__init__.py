"""Work orders (运维工单): from an alarm or by hand to the O&M company, and back for the county to close."""
