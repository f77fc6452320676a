"""Where an installation keeps its things, below one data directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The paths of one installation; only `secrets` and the credentials hold secrets."""

    data: Path

    @property
    def run(self) -> Path:
        """What is true only while it runs: the lock and the state."""
        return self.data / "run"

    @property
    def lock(self) -> Path:
        """The file that the supervisor holds locked; it names the supervisor's process."""
        return self.run / "supervisor.lock"

    @property
    def state(self) -> Path:
        """What the supervisor knows of its processes, as JSON."""
        return self.run / "state.json"

    @property
    def logs(self) -> Path:
        """One file a process, with its older parts beside it."""
        return self.data / "log"

    @property
    def secrets(self) -> Path:
        """A directory (0700) of files (0600)."""
        return self.data / "secrets"

    @property
    def passwords(self) -> Path:
        """The generated passwords towards Postgres and NATS."""
        return self.secrets / "passwords.json"

    @property
    def connections(self) -> Path:
        """Administrative addresses of the running Postgres and NATS, for `qm log verify`."""
        return self.secrets / "connections.json"

    @property
    def master_key(self) -> Path:
        """The master keys that the services seal with."""
        return self.secrets / "master-key.json"

    @property
    def node_key(self) -> Path:
        """What the embedded node may open."""
        return self.secrets / "node-key.json"

    @property
    def credentials(self) -> Path:
        """The first administrator's credentials."""
        return self.data / "admin-credentials.json"

    @property
    def agent_id(self) -> Path:
        """The embedded node's configured identity; it outlives a change of host name."""
        return self.data / "agent-id"

    @property
    def postgres(self) -> Path:
        """The database, or a link to where an unprivileged account can reach it."""
        return self.data / "postgres"

    @property
    def nats(self) -> Path:
        """The streams; they can be lost without harm."""
        return self.data / "nats"

    @property
    def node(self) -> Path:
        """The embedded node's journal, and its kernels' folders and logs."""
        return self.data / "node"

    def make(self) -> None:
        """Make the directories; others may pass through `data`, and see nothing private."""
        self.data.mkdir(mode=0o711, parents=True, exist_ok=True)
        for directory in (self.run, self.logs, self.secrets, self.node):
            directory.mkdir(mode=0o700, exist_ok=True)
