"""The `qm` command line: a client of the HTTP API, and of this machine's installation."""
