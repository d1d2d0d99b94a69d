"""One noun, one file, one component: what a stack is made of. Components never know each other."""
