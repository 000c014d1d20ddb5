"""Is it running, since when not, and why: light, states, availability, outages, and what is kept of them.

From outside, ask `evaluation` for any period (`evaluate`, `areas`), `keeping` for the stored intervals of
states (`state_intervals`, `open_states`) and for the newest interval of all devices (`refresh_states`); the
answers are records of `results`.
"""
