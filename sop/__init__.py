"""Siyu decides here: pure functions and frozen data, no clock, no I/O, no randomness."""
