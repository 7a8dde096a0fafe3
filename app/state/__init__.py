"""State of a dashboard session: address, access, background jobs."""
