"""What has happened: timelines of objects, the audit log, and what an event changed."""
