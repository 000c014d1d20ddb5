"""Is it running, since when not, and why: light, states, availability, outages, and what is kept of them."""
