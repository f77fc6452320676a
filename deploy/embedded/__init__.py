"""One machine: embedded Postgres and NATS under a supervisor."""
