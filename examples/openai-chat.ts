import OpenAI from "openai"

/*
 * A streamed chat by OpenAI's own client. The caller needs a certificate in force (docs/guardian.md).
 *
 *   TOKEN=$(pnpm -s gravitas token Librarian) pnpm -s tsx examples/openai-chat.ts "which shelf?"
 */

const client = new OpenAI({
  baseURL: `${process.env["ROUTER_URL"] ?? "http://127.0.0.1:8004"}/v1`,
  apiKey: process.env["TOKEN"] ?? ""
})

const stream = await client.chat.completions.create({
  model: process.env["MODEL"] ?? "echo",
  messages: [{ role: "user", content: process.argv[2] ?? "which shelf?" }],
  stream: true
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "")
process.stdout.write("\n")
