#!/bin/sh
# A conversation with curl: send a message, read its answer word by word, look at the whole session.
#
#   examples/chat.sh "Where is my order?" http://127.0.0.1:9998
set -eu
message=${1:-Hello}
proxy=${2:-http://127.0.0.1:9998}

session=$(curl -sS --fail-with-body "$proxy/sessions/sam/messages" \
  -H 'Content-Type: application/json' \
  -d "{\"user_id\": \"sam\", \"message\": \"$message\"}" |
  sed 's/.*"session_id":"\([^"]*\)".*/\1/')

echo "--- the answer, as it comes"
curl -sSN --fail-with-body "$proxy/sessions/$session/stream"

echo "--- the session"
curl -sS --fail-with-body "$proxy/sessions/$session"
echo
