"""The account that deploys: keys only, root by sudo without a password, and no other way in."""
