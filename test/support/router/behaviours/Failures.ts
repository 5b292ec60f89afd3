import { answering, type Script } from "../Upstream.ts"
import { type Behaviour, chunk, type ExpectedRefusal, message, piece, streams } from "./Behaviour.ts"

const error = (fields: object) => ({ error: { message: "sk-very-secret", ...fields } })
const refused: ExpectedRefusal = { kind: "refused", code: "content_filter", shouldRetry: "false" }
const tooLong: ExpectedRefusal = { kind: "rejected", code: "context_length_exceeded", shouldRetry: "false" }
const broken: ExpectedRefusal = { kind: "broken", code: "provider_failed" }
const misconfigured: ExpectedRefusal = { kind: "misconfigured", code: "provider_misconfigured", shouldRetry: "false" }

const fails = (title: string, expected: ExpectedRefusal, script: Script, stream = script): Behaviour => ({
  title,
  whole: script,
  stream,
  expected
})

/** Errors before anything was said: another shell may be asked. */
export const failures: ReadonlyArray<Behaviour> = [
  fails(
    "a role, and then an error",
    broken,
    answering(500, ""),
    streams(piece({ role: "assistant", content: "" }), JSON.stringify(error({ code: 502 })))
  ),
  fails(
    "an error in a choice",
    broken,
    answering(200, { choices: [{ index: 0, message: { content: "" }, finish_reason: "stop", error: { code: 502 } }] }),
    streams(chunk({ choices: [{ index: 0, delta: { content: "" }, error: { code: 502 } }] }), "[DONE]")
  ),
  fails(
    'a choice that ends with "error"',
    broken,
    answering(200, message({ content: "" }, "error")),
    streams(piece({ content: "" }, "error"), "[DONE]")
  ),
  fails(
    "an error object as vLLM sends it",
    broken,
    answering(200, { object: "error", message: "x", code: 400 }),
    streams('{"object":"error","message":"x"}')
  ),
  fails("400 content_filter", refused, answering(400, error({ code: "content_filter" }))),
  fails(
    "400 of Azure's policy",
    refused,
    answering(400, error({ code: "400", innererror: { code: "ResponsibleAIPolicyViolation" } }))
  ),
  fails(
    "403 of a moderation",
    refused,
    answering(403, error({ code: 403, metadata: { reasons: ["violence"], flagged_input: "x" } }))
  ),
  fails("no choice", refused, answering(200, { choices: [] }), streams(chunk({ choices: [] }), "[DONE]")),
  fails("403 of another kind", misconfigured, answering(403, error({ code: "forbidden" }))),
  fails("400 context_length_exceeded", tooLong, answering(400, error({ code: "context_length_exceeded" }))),
  fails(
    "400 of vLLM for a long conversation",
    tooLong,
    answering(400, {
      object: "error",
      message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
      code: 400
    })
  ),
  fails("402", misconfigured, answering(402, error({}))),
  fails("404", misconfigured, answering(404, error({}))),
  fails("429 without credit", misconfigured, answering(429, error({ code: "insufficient_quota" }))),
  fails(
    "503 that must not be asked again",
    { ...broken, shouldRetry: "false" },
    answering(503, "", { "x-should-retry": "false" })
  ),
  fails("a body without an answer", broken, answering(200, ""))
]
