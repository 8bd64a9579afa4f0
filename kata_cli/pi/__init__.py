"""Pi as a runtime: the agent behind `pi --mode rpc`, one process per conversation, in a bounded pool."""
