"""What is installed and what is not, how it stays current, and how a change to it is noticed."""
