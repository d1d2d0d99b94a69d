"""Container images: what there is, how each is built, and the digests that a stack deploys."""
