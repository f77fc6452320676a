"""Pure rules of the storage service."""
