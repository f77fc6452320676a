"""Lists as CSV: any size, streamed from a cursor of the database."""
