"""What the scheduler knows of users and projects: a replica of the users service's events."""

import asyncio

from shared.contracts.base import Event
from shared.contracts.users import ProjectCreated, ProjectMemberAdded, UserCreated
from shared.kernel.rejections import FieldError


class UsersView:
    """Who may work in which project."""

    def __init__(self) -> None:
        self._users: dict[str, UserCreated] = {}
        self._projects: dict[str, ProjectCreated] = {}
        self._members: set[tuple[str, str]] = set()
        self._moved = asyncio.Event()

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case UserCreated():
                self._users[event.user_id] = event
            case ProjectCreated():
                self._projects[event.project_id] = event
            case ProjectMemberAdded():
                self._members.add((event.project_id, event.user_id))
        self._moved.set()

    async def wait_for(self, user_id: str, project_id: str, timeout_s: float) -> bool:
        """Wait for a user who may have been created a moment ago; False: still not known."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._knows(user_id, project_id):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _knows(self, user_id: str, project_id: str) -> bool:
        user = self._users.get(user_id)
        member = user is not None and user.role == "superadmin"
        return member or (user is not None and (project_id, user_id) in self._members)

    def user_problem(self, user_id: str) -> FieldError | None:
        """Return why a user may not have sessions."""
        user = self._users.get(user_id)
        if user is None:
            return FieldError("user_id", "user_not_found", "The user does not exist.")
        if user.status != "active":
            return FieldError("user_id", "user_not_active", f"The user is {user.status}.")
        return None

    def project_problem(self, user_id: str, project_id: str, domain: str) -> FieldError | None:
        """Return why a user may not have sessions in a project."""
        project = self._projects.get(project_id)
        user = self._users.get(user_id)
        if project is None or project.domain != domain:
            message = f"There is no such project in the domain {domain[:64]}."
            return FieldError("project", "project_not_found", message)
        is_super = user is not None and user.role == "superadmin"
        if not is_super and (project_id, user_id) not in self._members:
            message = f"The user is not a member of the project {project.name}."
            return FieldError("project", "not_a_member", message)
        return None
