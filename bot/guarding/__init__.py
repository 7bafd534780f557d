"""Guarding groups: who posts adverts is warned, and removed as the operators want it."""

from bot.guarding.watch import Guarding

__all__ = ["Guarding"]
