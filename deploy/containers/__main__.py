"""The image's entry point: `python -m deploy.containers <what>`."""

import os
import sys
from typing import Final

from deploy.embedded.roster import NODE, SERVICES, module_of

_TOOLS: Final = {"provision": "deploy.provision", "qm": "services.gateway.cli"}


def main() -> None:
    """Become the service, the node or the tool that the first argument names."""
    what, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    modules = {**{name: module_of(name) for name in (*SERVICES, NODE)}, **_TOOLS}
    if what not in modules:
        sys.exit(f"The command '{what}' is none of: {', '.join(modules)}.")
    command = [sys.executable, "-P", "-m", modules[what], *arguments]
    os.execv(sys.executable, command)  # noqa: S606  # no shell


if __name__ == "__main__":
    main()
