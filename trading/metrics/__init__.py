"""What a run was worth. Pure, and in floats: nothing is traded on these numbers."""
