"""One file per time-series engine behind store.series."""
