"""`python -m services.scheduler` runs the service."""

import sys

from services.scheduler.app import main

sys.exit(main())
