#!/usr/bin/env bash
# From a token to the trail with curl alone, against `pnpm start`: bash examples/curl.sh
set -euo pipefail
gatekeeper=${GATEKEEPER_URL:-http://127.0.0.1:8001}
guardian=${GUARDIAN_URL:-http://127.0.0.1:8003}
router=${ROUTER_URL:-http://127.0.0.1:8004}
request=example-$RANDOM

admin=$(pnpm -s gravitas token Operator)
token=$(pnpm -s gravitas token Librarian)

ask() { curl -sS --fail-with-body -H 'content-type: application/json' "$@"; echo; }

echo "May the Librarian read vaults/public?"
ask "$gatekeeper/validate" -H "Authorization: Bearer $token" -d '{"action": "read", "resource": "vaults/public"}'

echo "A certificate, without which no model answers:"
ask "$guardian/certificates" -H "Authorization: Bearer $admin" -d '{"agent": "Librarian", "valid_for": "1d"}'

echo "A chat:"
ask "$router/v1/chat/completions" -H "Authorization: Bearer $token" -H "X-Request-Id: $request" \
  -d '{"model": "echo", "messages": [{"role": "user", "content": "which shelf?"}]}'

echo "What the three services decided and did for it, newest first:"
sleep 0.5
ask "$gatekeeper/audit/events?request_id=$request&limit=3" -H "Authorization: Bearer $admin"
