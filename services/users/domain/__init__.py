"""Pure rules of the users service."""
