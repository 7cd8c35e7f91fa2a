"""The middleware, one a file; `service.app` puts them in order."""
