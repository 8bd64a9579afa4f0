"""Workflows: the graph of tasks as data (`kata.workflow/v1`), checked before anything runs."""
