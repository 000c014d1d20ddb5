"""Indicators in the national form: faults, online, O&M coverage and timeliness, capability, yield, rank."""
