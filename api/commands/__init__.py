"""The operator's commands, grouped; `api.cli` puts them together."""
