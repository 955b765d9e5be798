"""What a running process needs: clock, journal, alerts, processes, the command line."""
