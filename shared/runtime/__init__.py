"""What every service process is composed of."""
