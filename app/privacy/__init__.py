"""What people agreed to. Requests, exports and erasure have their place here too."""
