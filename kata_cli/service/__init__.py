"""Live agent sessions over HTTP: REST, server-sent events and one WebSocket."""
