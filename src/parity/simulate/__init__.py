"""What happens to a queue of requests over time, step by step, from tables of step times."""
