"""Rows in, one offline page and pictures out. Reads, never decides."""
