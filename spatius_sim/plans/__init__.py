"""What a run does to a subject: plans as values, and the strategies that draw them."""
