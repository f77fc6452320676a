"""Pure rules of the agents service."""
