"""Money: one room per step of the flow from grid statement to payout."""
