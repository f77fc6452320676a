"""`python -m services.agents.node` runs the daemon."""

import sys

from services.agents.node.app import main

sys.exit(main())
