"""The mock provider: reads the same prompts as a model and answers from them, without chance or network."""

from kata_cli.providers.mock.provider import MockProvider

__all__ = ["MockProvider"]
