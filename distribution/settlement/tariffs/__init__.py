"""Which price, tax and hours cap are in force for a station, from dated values with their source."""
