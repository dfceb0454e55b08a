"""What a minute does to the leases of a process that was killed or stopped."""

import sqlalchemy as sa

#: A second or less: in the middle of a transaction the process keeps its rows locked, and the caller tries again.
_WAIT = {
    "sqlite": "PRAGMA busy_timeout = 100",
    "postgresql": "SET lock_timeout = 100",
    "mysql": "SET innodb_lock_wait_timeout = 1",
}


def expire_leases(url, owner=None):
    """Let the leases run out, of one owner or all; returns how many there were."""
    engine = sa.create_engine(url)
    condition, given = ("lease_until IS NOT NULL", {}) if owner is None else ("lease_owner = :owner", {"owner": owner})
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(_WAIT[engine.dialect.name])
            statement = sa.text(f"UPDATE certcore_schedules SET lease_until = 1 WHERE {condition}")
            return connection.execute(statement, given).rowcount
    finally:
        engine.dispose()
