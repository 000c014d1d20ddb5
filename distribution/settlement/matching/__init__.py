"""Inverter against grid meter against bill against receipt: results, causes and the exception queue."""
