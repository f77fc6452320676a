"""One image for everything; the command of a container says what it runs."""
