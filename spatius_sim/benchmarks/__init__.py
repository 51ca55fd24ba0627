"""`spatius-sim bench`: every figure beside the least that could do the job, measured in the same run."""
