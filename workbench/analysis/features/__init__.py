"""Feature visualisation: the parts of a search for the input that a unit likes best."""
