"""Who is calling, proven by password once and by a signed token afterwards."""
