"""The command line: `siyu …`."""
