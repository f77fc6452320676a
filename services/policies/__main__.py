"""`python -m services.policies` runs the service."""

import sys

from services.policies.app import main

sys.exit(main())
