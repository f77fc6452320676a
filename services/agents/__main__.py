"""`python -m services.agents` runs the service."""

import sys

from services.agents.app import main

sys.exit(main())
