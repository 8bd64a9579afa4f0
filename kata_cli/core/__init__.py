"""Plain data and pure rules that every room may know."""
