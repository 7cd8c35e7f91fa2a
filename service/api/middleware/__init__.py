"""What stands before the routes, one middleware a file; `service.app` puts them in order."""
