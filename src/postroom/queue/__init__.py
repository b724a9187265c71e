"""Accepted mail until it has arrived: acceptance, the retry schedule, results and bounces."""
