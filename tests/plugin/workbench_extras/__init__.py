"""Additions to the workbench, found through entry points alone."""
