"""Jobs on many machines: their store in Redis or Valkey, their delivery by Dramatiq.

Needs the extra `scale`; imported only where `DESCENT_REDIS_URL` is set."""
