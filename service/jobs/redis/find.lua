-- ARGV: owner, idempotency key, fingerprint
return keyed(ARGV[1], ARGV[2], ARGV[3])
