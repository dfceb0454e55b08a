"""Notices by mail."""

from certcore.contrib.mail.notifier import Mail, MailError, Security

__all__ = ["Mail", "MailError", "Security"]
