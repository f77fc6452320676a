"""Composes the users service."""

from typing import Final

from services.users.bootstrap import Bootstrap
from services.users.changes import UserChanges
from services.users.creation import UserCreation
from services.users.erasure import Erasure
from services.users.handlers import PeerQueries, serve, serve_logins, serve_people
from services.users.keypairs import Keypairs
from services.users.known_policies import KnownPolicies
from services.users.logins import Logins
from services.users.passwords import Passwords
from services.users.resealing import Resealing
from services.users.retirement import Retirement
from services.users.settings import UsersSettings
from services.users.tenancy import Tenancy
from services.users.totp import Totp
from services.users.vault import Vault
from shared.eventlog.codecs import codec_for
from shared.projections.replica import Replica
from shared.runtime.service import ServiceRuntime, run_service
from shared.security.passwords import PasswordHasher, PasswordParameters

POLICIES_WAIT_S: Final = 5.0


async def compose(runtime: ServiceRuntime) -> None:
    """Put the service together from its parts."""
    settings = runtime.settings
    if not isinstance(settings, UsersSettings):
        raise TypeError("the users service needs its own settings")
    keyring = runtime.keyring()
    hasher = PasswordHasher(
        PasswordParameters(
            settings.password_memory_kib, settings.password_passes, settings.password_lanes
        ),
        workers=settings.password_workers,
        max_waiting=settings.password_queue,
    )
    log = await runtime.event_log(codec_for("users"))
    policies = KnownPolicies()
    replica = Replica(
        runtime.nats, ("policies",), {"policies": codec_for("policies")}, policies.apply
    )
    runtime.background("policies-replica", replica.run())
    runtime.commands.follow(replica)
    runtime.health.add("policies-replica", replica.check)
    runtime.health.add("policies", policies.check)

    async def hear_of_policies() -> None:
        # Log-ins work without policies, so this is no reason to wait for long.
        await replica.caught_up(POLICIES_WAIT_S)

    runtime.on_start(hear_of_policies)
    serve_people(
        runtime.commands,
        UserCreation(log, keyring, hasher, policies, runtime.clock),
        UserChanges(log, keyring, hasher, policies, runtime.clock),
        Erasure(log, runtime.clock),
        Tenancy(log, policies),
        Retirement(log),
    )
    logins = Logins(log, keyring, hasher, runtime.clock, lifetime_s=settings.login_lifetime_s)
    await Bootstrap(log, keyring, hasher).run(settings.bootstrap_file)
    keypairs = Keypairs(log, keyring, policies, runtime.clock)
    resealing = Resealing(log.pool, keyring, runtime.clock)
    serve_logins(
        runtime.commands,
        logins,
        Passwords(log, keyring, hasher, runtime.clock),
        Totp(log, keyring, runtime.clock),
    )
    peers = PeerQueries(Vault(log.pool, keyring))
    await serve(runtime.commands, runtime.queries, keypairs, resealing, peers)


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("users", compose, UsersSettings)
