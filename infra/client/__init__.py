"""A typed client of the HTTP API. It knows the OpenAPI document and no code of the application."""
