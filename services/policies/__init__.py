"""The policies service."""
