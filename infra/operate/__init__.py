"""What `gad` does: build, deploy, verify, operate."""
