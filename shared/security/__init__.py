"""Sealing, passwords, tokens and request signatures."""
