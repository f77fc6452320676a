"""Loads the fixtures that all tests share."""

pytest_plugins = ["shared.testing.plugin", "shared.testing.workers"]
