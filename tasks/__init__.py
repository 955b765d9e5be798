"""What one task does, as plain functions; `tasks.catalog` wraps them for Prefect, one line each."""
