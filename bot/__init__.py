"""Siyu acts here: channels, inbox, courier, clock, rendering, language, command line."""
