"""A container's health check, which asks the process in it whether it is ready."""

import asyncio
import os
import sys

from deploy.embedded.probe import is_ready


def main() -> None:
    """Exit with 0 when `/readyz` says yes."""
    sys.exit(0 if asyncio.run(is_ready(int(os.environ["QM_HTTP_PORT"]))) else 1)


if __name__ == "__main__":
    main()
