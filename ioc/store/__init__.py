"""The store: PostgreSQL with or without TimescaleDB. SQL lives in sql/, numbered migrations in sql/migrations/."""
