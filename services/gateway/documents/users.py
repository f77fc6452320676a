"""A person who may use the cluster."""

from datetime import datetime

import msgspec

from shared.contracts.users import Role, UserStatus


class UserDocument(msgspec.Struct, kw_only=True):
    """One user. Personal texts are null when the person has been erased.

    `login_blocked_until` is set by too many wrong passwords, until it is past or a log-in works.
    """

    id: str
    email: str | None
    username: str | None
    full_name: str | None
    description: str | None
    domain: str
    projects: list[str] = []
    role: Role
    status: UserStatus
    resource_policy: str
    password_change_required: bool = False
    sudo_session_enabled: bool = False
    totp_enabled: bool = False
    main_access_key: str | None = None
    last_login_at: datetime | None = None
    login_blocked_until: datetime | None = None
    erased: bool = False
    created_at: datetime
    modified_at: datetime
