"""Pure rules of the scheduler service."""
