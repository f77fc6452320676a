"""Runs the command line: `python -m services.gateway.cli`."""

from services.gateway.cli.root import main

if __name__ == "__main__":
    main()
