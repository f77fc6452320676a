"""Pure rules of the modelstore service."""
