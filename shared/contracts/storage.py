"""storage: hosts, quota scopes, folders. It publishes no events yet."""
