"""Commands, queries, telemetry and desired state over NATS."""
