"""What Alembic runs: the connection comes from `certcore.adapters.sql.schema`, inside its transaction."""

from alembic import context

from certcore.adapters.sql.schema import VERSION_TABLE
from certcore.adapters.sql.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite's tables can be made in a transaction, although Alembic does not count on it; MySQL's cannot.
    transactional_ddl=connection.dialect.name in {"sqlite", "postgresql"},
)
context.run_migrations()
