"""Process managers and timers."""
