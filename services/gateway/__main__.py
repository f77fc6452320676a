"""`python -m services.gateway` runs the service."""

import sys

from services.gateway.app import main

sys.exit(main())
