"""What changes by the second: kept in memory from telemetry, added when a document is rendered."""
