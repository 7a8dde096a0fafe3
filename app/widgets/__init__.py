"""Parts of pages, named for what they draw."""
