"""Long-running robustness campaigns, run by `python -m tests.campaigns`."""
