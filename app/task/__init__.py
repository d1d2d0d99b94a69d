"""Tasks, emergencies, who is assigned, and what happened to them."""
