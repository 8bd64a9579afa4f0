"""The spec document (`kata.spec/v1`): its model, its Markdown and JSON forms, its checks."""
