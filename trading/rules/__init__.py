"""One small pure function per rule, each with its golden cases."""
