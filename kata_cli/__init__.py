"""kata: scripted orchestration runs of LLM agents that end in a spec draft."""

__version__ = "0.1.0"
