"""What was ordered or announced: planned work, and records of dispatch, curtailment and majeure."""
