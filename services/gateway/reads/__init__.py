"""Queries of the read models, for the API and for the pages; nothing here calls a service."""
