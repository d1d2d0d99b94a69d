"""The Pulumi engine and its plugins: found, downloaded, or built where nothing can be downloaded."""
