"""Files in and out; knows no domain."""
