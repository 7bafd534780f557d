"""Rehearsals: real definitions, engine, SQL and courier over simulated time and people."""
