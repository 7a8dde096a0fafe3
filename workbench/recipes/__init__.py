"""How each committed checkpoint was made: one file each."""
