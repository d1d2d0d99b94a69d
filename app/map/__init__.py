"""Who is where, and what is going on there."""
