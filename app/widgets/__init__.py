"""Widgets of pages, one file for each thing drawn."""
