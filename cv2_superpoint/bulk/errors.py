"""The error of bulk extraction."""


class BulkError(Exception):
    """Something that the user can mend; its message is one line."""
