"""The embedded engine: DuckDB for what is kept, a log and a table in memory for what has just come.

A batch is durable when its record in the log is; its rows then live in a table in memory, from which a
thread files them into the database file. A writer therefore never waits for a checkpoint. A query sees both
in one statement, and a row in exactly one of them, because filing records its number in the same transaction.
"""
