"""Backups: folders that are complete or not there, with a manifest that every file is held against."""
