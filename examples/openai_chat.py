"""A streamed chat by OpenAI's own client. The caller needs a certificate in force (docs/guardian.md).

    pip install openai
    TOKEN=$(pnpm -s gravitas token Librarian) python examples/openai_chat.py "which shelf?"
"""

import os
import sys

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("ROUTER_URL", "http://127.0.0.1:8004") + "/v1",
    api_key=os.environ["TOKEN"],
)

stream = client.chat.completions.create(
    model=os.environ.get("MODEL", "echo"),
    messages=[{"role": "user", "content": sys.argv[1] if len(sys.argv) > 1 else "which shelf?"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
