"""Text on pages: escaping, errors, numbers."""
