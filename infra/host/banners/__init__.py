"""What is said to whoever comes, before and after the login."""
