"""Several containers on one machine, with a Postgres and a NATS server of their own."""
