"""Speed and memory, measured: ours beside a baseline, in one run, as ratios. `make bench` prints them in one table."""
