"""`qm session timeline`."""

from services.gateway.cli.commands.finding import find_session
from services.gateway.cli.commands.timeline import timeline_of

timeline = timeline_of("session", lambda api, key: f"/v1/sessions/{find_session(api, key)['id']}")
