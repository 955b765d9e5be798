"""What changed since a stage was built or a check was passed, and the rows that are looked at because of it."""
