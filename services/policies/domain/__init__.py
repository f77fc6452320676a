"""Pure rules of the policies service."""
