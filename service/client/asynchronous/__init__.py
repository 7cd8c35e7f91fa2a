"""The asynchronous client, the source of `service.client.blocking`."""
