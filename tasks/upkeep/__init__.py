"""What keeps the data safe and small: backups, restores and the drill, tidying up."""
