"""Errors that the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend; the message says what."""
