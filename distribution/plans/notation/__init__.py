"""How a plan is written down: exact numbers, yuan, and the places of a file."""
