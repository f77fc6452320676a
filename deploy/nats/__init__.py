"""The configuration of the NATS server: who is there, and who may do what."""
