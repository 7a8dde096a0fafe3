"""From a result to a picture, a table or a sentence: one file for each kind of result, found by being there."""
