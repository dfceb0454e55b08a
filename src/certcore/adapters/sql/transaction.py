"""`SqlTransaction`: the repositories on one connection."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import field, frozen

from certcore.adapters.sql.authorities import SqlAuthorities
from certcore.adapters.sql.certificates import SqlCertificates, SqlIssuances
from certcore.adapters.sql.deliveries import SqlDeliveries
from certcore.adapters.sql.documents import SqlDocuments
from certcore.adapters.sql.preflights import SqlPreflights
from certcore.adapters.sql.schedules import SqlSchedules
from certcore.adapters.sql.secrets import SqlSecrets
from certcore.adapters.sql.timelines import Heads, SqlEvents, SqlTimelines

__all__ = ["SqlTransaction"]


@frozen(eq=False)
class SqlTransaction:
    """The repositories on one connection; implements `certcore.ports.storage.Transaction`."""

    connection: sa.Connection
    writing: bool
    heads: Heads
    record_key: bytes = field(default=b"", repr=False)

    @property
    def certificates(self) -> SqlCertificates:
        """The certificates."""
        return SqlCertificates(self.connection, self.writing)

    @property
    def issuances(self) -> SqlIssuances:
        """The issuances."""
        return SqlIssuances(self.connection)

    @property
    def schedules(self) -> SqlSchedules:
        """The schedules and leases."""
        return SqlSchedules(self.connection, self.writing)

    @property
    def preflights(self) -> SqlPreflights:
        """The regular checks of certificates in service."""
        return SqlPreflights(self.connection)

    @property
    def authorities(self) -> SqlAuthorities:
        """The CA profiles."""
        return SqlAuthorities(self.connection)

    @property
    def secrets(self) -> SqlSecrets:
        """The sealed secrets."""
        return SqlSecrets(self.connection)

    @property
    def events(self) -> SqlEvents:
        """The events."""
        return SqlEvents(self.connection, self.heads, self.record_key)

    @property
    def timelines(self) -> SqlTimelines:
        """The ends of the timelines."""
        return SqlTimelines(self.connection)

    @property
    def deliveries(self) -> SqlDeliveries:
        """The deliveries to observers."""
        return SqlDeliveries(self.connection)

    @property
    def documents(self) -> SqlDocuments:
        """The modules' documents."""
        return SqlDocuments(self.connection, self.writing)
