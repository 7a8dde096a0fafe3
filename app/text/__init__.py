"""Text on pages: escaping, errors, number formats, technique help."""
