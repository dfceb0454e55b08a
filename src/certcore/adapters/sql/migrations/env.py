"""What Alembic runs: the connection comes from `certcore.adapters.sql.schema`, inside its transaction."""

from alembic import context

from certcore.adapters.sql.schema import VERSION_TABLE
from certcore.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
