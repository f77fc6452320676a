"""`python -m services.modelstore` runs the service."""

import sys

from services.modelstore.app import main

sys.exit(main())
