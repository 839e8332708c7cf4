"""Intent: agreements × inventory → facts with owners, and the contract checks (pure)."""

from controller.intent.compile import compile_intent

__all__ = ["compile_intent"]
