"""The services of Quartermaster. Each imports `shared`, never another service."""
