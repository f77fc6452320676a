"""What the console says about sessions and agents, in the reader's language."""

import gettext
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services.gateway.pages.figures import amount, as_bytes
from services.gateway.pages.languages import N_

LABELS: Final[Mapping[str, str]] = {
    "PENDING": N_("Pending"),
    "SCHEDULED": N_("Scheduled"),
    "PREPARING": N_("Preparing"),
    "RUNNING": N_("Running"),
    "TERMINATING": N_("Terminating"),
    "TERMINATED": N_("Terminated"),
    "CANCELLED": N_("Cancelled"),
    "ERROR": N_("Error"),
    "ALIVE": N_("Alive"),
    "LOST": N_("Lost"),
    "RESTARTING": N_("Restarting"),
    "batch": N_("Batch"),
    "interactive": N_("Interactive"),
    "inference": N_("Inference"),
    "superadmin": N_("Super administrator"),
    "admin": N_("Domain administrator"),
    "user": N_("User"),
    "monitor": N_("Monitor"),
    "enforced": N_("enforced"),
    "best_effort": N_("best effort"),
    "not_enforced": N_("not enforced"),
}
ENDS: Final[Mapping[str, str]] = {
    "user-requested": N_("Terminated by its user"),
    "force-terminated": N_("Terminated by force"),
    "task-finished": N_("Finished"),
    "task-failed": N_("Failed"),
    "out-of-memory": N_("Ran out of memory"),
    "failed-to-start": N_("Could not be started"),
    "image-not-available": N_("Its image was not on its node"),
    "agent-lost": N_("Its agent was lost"),
    "kernel-lost": N_("Its process vanished"),
    "self-terminated": N_("Ended by itself"),
    "pending-timeout": N_("Waited for too long"),
    "dependency-failed": N_("What it depended on has failed"),
    "idle-session-lifetime": N_("Its time was up"),
    "idle-timeout": N_("Nobody used it for too long"),
    "idle-utilization": N_("It made too little use of its resources"),
    "hang-timeout": N_("Its node did not answer in time"),
}
# The scheduler's own sentences hold numbers; here these stand beside the sentence, as violations.
REASONS: Final[Mapping[str, str]] = {
    "not-examined-yet": N_("The scheduler has not looked at it yet."),
    "not-tried-yet": N_("The next scheduling pass will try it."),
    "behind-first-in-line": N_("An earlier session that lacks resources comes first."),
    "behind-own-session": N_("An earlier session of the same user comes first."),
    "over-limit": N_("A limit of its keypair, project or domain is reached."),
    "not-enough-resources": N_("No agent has enough free."),
    "not-enough-agents": N_("Its kernels must start together, and there is no room for all."),
    "devices-fragmented": N_("Enough is free, but not on devices that fit together."),
    "designated-agents-away": N_("None of the agents that it asks for takes sessions now."),
    "no-agent-offers-image": N_("No agent offers its image."),
    "no-agents": N_("The resource group has no agents."),
    "no-agent-alive": N_("No agent of the resource group is alive."),
    "no-agent-schedulable": N_("No agent takes new sessions at the moment."),
    "group-inactive": N_("The resource group is not active."),
    "not-due-yet": N_("Its time to start has not come."),
    "waits-for-dependencies": N_("Sessions that it depends on have not ended yet."),
}
ISOLATION: Final[Mapping[str, str]] = {
    "cpu": N_("CPU limit"),
    "memory": N_("Memory limit"),
    "pids": N_("Number of processes"),
    "filesystem": N_("File system"),
    "user": N_("User account"),
    "network": N_("Network"),
}
SLOT_NAMES: Final[Mapping[str, str]] = {
    "cpu": N_("CPU cores"),
    "mem": N_("Memory"),
    "sessions": N_("Sessions"),
    "containers": N_("Kernels"),
}


class Words:
    """The sentences and names of one language."""

    def __init__(self, catalogue: gettext.NullTranslations) -> None:
        self._ = catalogue.gettext
        self._n = catalogue.ngettext

    def label(self, code: str) -> str:
        """Name a status, type, role or level; an unknown code names itself."""
        return self._(LABELS[code]) if code in LABELS else code

    def isolation_name(self, code: str) -> str:
        """Name one thing that a host may enforce."""
        return self._(ISOLATION[code]) if code in ISOLATION else code

    def slot_name(self, name: str) -> str:
        """Name a resource slot."""
        return self._(SLOT_NAMES[name]) if name in SLOT_NAMES else name

    def outcome(self, session: Mapping[str, Any]) -> str:
        """Say why a session waits, or how it ended; nothing while it runs."""
        _ = self._
        if session["status"] == "PENDING":
            reason = session["reason"] or {}
            short = [self.violation(item) for item in reason.get("violations", ())]
            return " ".join([self.reason(reason), "; ".join(short)]).strip()
        info = session.get("status_info")
        said = [_(ENDS[info]) if info in ENDS else str(info)] if info else []
        if session.get("exit_code") is not None:
            said.append(_("exit code %(code)s") % {"code": session["exit_code"]})
        return ", ".join(said)

    def reason(self, reason: Mapping[str, Any] | None) -> str:
        """Say what a session waits for; the scheduler's own sentence where it has one."""
        _ = self._
        if not reason:
            return _("Waiting for its first placement.")
        code = str(reason["code"])
        return _(REASONS[code]) if code in REASONS else str(reason["message"])

    def violation(self, item: Mapping[str, Any]) -> str:
        """Say one limit or shortage in figures, or which session or time is waited for."""
        _ = self._
        name = str(item["slot"])
        kind, _colon, key = str(item.get("scope") or "").partition(":")
        if kind == "session":
            return key or _("not before %(time)s") % {"time": at(item["requested"])}
        said = [f"{self.slot_name(name)}:"]
        parts = (
            ("requested", _("asks for %(amount)s")),
            ("used", _("in use %(amount)s")),
            ("limit", _("at most %(amount)s")),
            ("short_by", _("short by %(amount)s")),
        )
        figures = [
            text % {"amount": amount(item[member], name)}
            for member, text in parts
            if item.get(member) is not None
        ]
        if item.get("agents") is not None:
            agents = self._n("on %(count)s agent", "on %(count)s agents", int(item["agents"]))
            figures.append(agents % {"count": item["agents"]})
        return " ".join([*said, ", ".join(figures)])

    def adjustment(self, item: Mapping[str, Any]) -> str:
        """Say what each kernel was given more of than it was asked for."""
        said = self._("%(slot)s: %(adjusted_to)s instead of %(requested)s, as its image needs")
        figures = {name: amount(item[name], item["slot"]) for name in ("requested", "adjusted_to")}
        return said % {"slot": self.slot_name(item["slot"]), **figures}

    def steps(self, session: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return what a session went through, with how long each step took."""
        history = sorted((str(at), str(status)) for status, at in session["status_history"].items())
        ends = [at for at, _ in history[1:]]
        took = [self.duration(parse(end) - parse(at)) for (at, _), end in zip(history, ends)]  # noqa: B905  # the last step has no end
        return [
            {"status": status, "at": at, "took": length}
            for (at, status), length in zip(history, [*took, ""], strict=True)
        ]

    def duration(self, seconds: float) -> str:
        """Say a length of time in its two largest units."""
        _ = self._
        if seconds < 10:
            return _("%(count)s s") % {"count": f"{seconds:.2f}"}
        if seconds < 60:
            return _("%(count)s s") % {"count": int(seconds)}
        minutes, rest = divmod(int(seconds), 60)
        if minutes < 60:
            return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
        hours, minutes = divmod(minutes, 60)
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}

    def ago(self, moment: str | datetime) -> str:
        """Say how long ago a moment was; scripts, where there are any, say it anew each while."""
        _ = self._
        seconds = datetime.now(tz=UTC).timestamp() - parse(moment)
        if abs(seconds) < 60:
            return _("just now")
        return _("%(length)s ago") % {"length": self.duration(seconds)}

    def load_facts(self, agent: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return an agent's load as names and figures."""
        _ = self._
        live = agent["live"]
        facts = [(_("CPU"), f"{live['cpu_util']:.0f} %")]
        facts += [
            (title, f"{as_bytes(live[key]['used'])} / {as_bytes(live[key]['total'])}")
            for key, title in (("mem", _("Memory")), ("disk", _("Disk")))
        ]
        net = live["net"]
        facts.append((_("Network in"), f"{as_bytes(int(net['received_s']))}/s"))
        facts.append((_("Network out"), f"{as_bytes(int(net['sent_s']))}/s"))
        return facts


def parse(moment: str | datetime) -> float:
    """Return a moment as seconds since 1970."""
    if isinstance(moment, datetime):
        return moment.timestamp()
    return datetime.fromisoformat(moment).timestamp()


def at(moment: str | datetime) -> str:
    """Write a moment to the second, in UTC; scripts turn it into the reader's time."""
    written = datetime.fromtimestamp(parse(moment), tz=UTC)
    return written.strftime("%Y-%m-%d %H:%M:%S UTC")


def is_exact(start: Mapping[str, Any]) -> bool:
    """Tell whether the ends of an estimated start are less than a minute apart."""
    return parse(start["high"]) - parse(start["low"]) < 60
