"""What a server says of itself, compared with config/controls.yaml: one topic of controls, one module."""
