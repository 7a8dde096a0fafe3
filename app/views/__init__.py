"""Views, one file per page."""
