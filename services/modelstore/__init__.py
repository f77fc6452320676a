"""The modelstore service."""
