"""Registers and MQTT messages in, samples out; knows no money."""
