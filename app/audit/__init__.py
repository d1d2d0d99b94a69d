"""What happened, by whom, in a chain that shows every later change."""
