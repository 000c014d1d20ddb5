"""The versions of the database's shape, in order; each file takes it one step forward."""
