"""The demo county: a made-up county with a year of history, played live by real devices."""
