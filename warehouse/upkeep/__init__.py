"""The build file as a whole: copied for a backup, made smaller, rid of what is old."""
