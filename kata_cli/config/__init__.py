"""Settings with their origin, directories and credentials: all that kata is told from outside."""
