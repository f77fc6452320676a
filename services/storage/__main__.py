"""`python -m services.storage` runs the service."""

import sys

from services.storage.app import main

sys.exit(main())
