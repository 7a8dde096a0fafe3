"""Work made of several runs: pipelines, comparisons, searches, trainings."""
