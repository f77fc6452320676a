"""The event log in Postgres, its relay to JetStream, and the decider runner."""
