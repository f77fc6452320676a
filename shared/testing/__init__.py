"""Support for tests: real servers, a fake clock, given/when/then."""
