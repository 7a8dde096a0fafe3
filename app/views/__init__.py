"""One page each: choose, run, show."""
