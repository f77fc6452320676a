"""`python -m services.users` runs the service."""

import sys

from services.users.app import main

sys.exit(main())
