"""A Postgres that somebody else runs, in place of the embedded one."""

from typing import Final
from urllib.parse import quote, urlsplit

from deploy.embedded.roster import DATABASE
from deploy.embedded.terminal import SetupError

VARIABLE: Final = "QM_POSTGRES_URL"


class ExternalPostgres:
    """A server at `url`, whose user may create roles and databases.

    `postgresql://user:password@host:port/database`; without a database it is `qm`. The database
    is made if it is missing.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname:
            raise SetupError(f"{VARIABLE} is not of the form postgresql://user:password@host/name")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._place = f"{host}:{parts.port or 5432}/{parts.path.strip('/') or DATABASE}"
        self._query = f"?{parts.query}" if parts.query else ""
        self._administrator = parts.netloc.rpartition("@")[0]

    @property
    def database_url(self) -> str:
        """Where the administrator connects to our database."""
        return f"postgresql://{self._administrator}@{self._place}{self._query}"

    def role_url(self, role: str, password: str) -> str:
        """Return where a role connects to our database."""
        return f"postgresql://{role}:{quote(password, safe='')}@{self._place}{self._query}"
