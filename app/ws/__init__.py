"""The WebSocket door: events to whoever may see them, once each."""
