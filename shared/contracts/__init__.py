"""The published language: events, commands and queries, one file a service.

Tags are storage names: never rename one. Events only gain fields, and only with defaults;
anything else is a new schema version with an upcaster and an ADR.
"""
