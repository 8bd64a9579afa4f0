"""The shell surface: parse, one call, exit status."""
