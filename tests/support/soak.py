"""How long chance and kills are played: with MINKA_SOAK=1 (``make soak``) to the end."""

from __future__ import annotations

import os

SOAK = os.environ.get("MINKA_SOAK") == "1"
#: Of two ways in which something may happen at each of many moments, both; else one and the other in turns.
TURNS = (0, 1) if SOAK else (0,)


def rounds(few: int) -> int:
    """Examples that a costly random test draws: few, and in the soak a thousand."""
    return 1000 if SOAK else few
