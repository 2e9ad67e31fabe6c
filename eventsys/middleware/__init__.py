"""What surrounds an attempt, one concern a file."""
