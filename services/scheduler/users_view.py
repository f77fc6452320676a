"""What the scheduler knows of users and projects: a replica of the users service's events."""

from shared.contracts.base import Event
from shared.contracts.users import ProjectCreated, ProjectMemberAdded, UserCreated
from shared.kernel.rejections import FieldError


class UsersView:
    """Who may work in which project."""

    def __init__(self) -> None:
        self._users: dict[str, UserCreated] = {}
        self._projects: dict[str, ProjectCreated] = {}
        self._members: set[tuple[str, str]] = set()

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case UserCreated():
                self._users[event.user_id] = event
            case ProjectCreated():
                self._projects[event.project_id] = event
            case ProjectMemberAdded():
                self._members.add((event.project_id, event.user_id))

    def knows(self, user_id: str, project_id: str) -> bool:
        """Tell whether a judgement is possible, or somebody is too new to be known here."""
        return user_id in self._users and project_id in self._projects

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
