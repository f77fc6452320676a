"""Loads the fixtures that all tests share."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["shared.testing.plugin", "shared.testing.workers"]

# A busy machine is no reason to fail: no test says how long something may take.
settings.register_profile("untimed", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("untimed")
