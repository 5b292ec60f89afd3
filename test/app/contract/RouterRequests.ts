import * as Schema from "effect/Schema"
import type { OldRequest } from "./OldRequest.ts"

/** The old providers' places, taken by the local one; `broken` stands for any provider that fails. */
export const models = `
providers:
  ollama: { kind: echo }
  deepinfra: { kind: echo }
  gemini: { kind: echo }
  failing: { kind: echo }
shells:
  gemma2:27b: { tier: L1, provider: ollama, model: echo }
  llama-3.3-70b: { tier: L2, provider: deepinfra, model: echo }
  gemini-2.5-pro: { tier: L3, provider: gemini, model: echo }
  broken: { tier: L1, provider: failing, model: echo-fails-before }
ghosts:
  Librarian: { preferred_shell: gemma2:27b, fallback_shells: [llama-3.3-70b] }
  Fallen: { preferred_shell: broken, fallback_shells: [llama-3.3-70b] }
`

const completion = <const Model extends string>(model: Model) =>
  Schema.Struct({
    id: Schema.NonEmptyString,
    object: Schema.Literal("chat.completion"),
    created: Schema.Int,
    model: Schema.Literal(model),
    choices: Schema.Tuple(
      Schema.Struct({
        index: Schema.Literal(0),
        message: Schema.Struct({ role: Schema.Literal("assistant"), content: Schema.Literal("which shelf?") }),
        finish_reason: Schema.Literal("stop")
      })
    ),
    usage: Schema.Struct({
      prompt_tokens: Schema.Int,
      completion_tokens: Schema.Int,
      total_tokens: Schema.Int
    })
  })

/** OpenAI's error, with the `detail` of every error. */
const failed = (status: number, code: string) => ({
  status,
  fields: Schema.Struct({
    error: Schema.Struct({ message: Schema.String, type: Schema.String, code: Schema.Literal(code) }),
    detail: Schema.String
  })
})

const denied = { status: 403, fields: Schema.Struct({ detail: Schema.String }) }

const messages = [
  { role: "system", content: "be brief" },
  { role: "user", content: "which shelf?" }
]

const chat = (
  name: string,
  body: Readonly<Record<string, unknown>>,
  answer: Pick<OldRequest, "as" | "status" | "fields" | "differs">
): OldRequest => ({
  name,
  service: "router",
  route: "POST /v1/chat/completions",
  as: "Supervisor_Managed_Agent",
  body: { messages, ...body },
  ...answer
})

const answered = (model: string) => ({ status: 200, fields: completion(model) })

/** All but the Scout have a certificate. Only an admin could infer in the old system. */
export const routerRequests: ReadonlyArray<OldRequest> = [
  {
    name: "health",
    service: "router",
    route: "GET /health",
    status: 200,
    fields: Schema.Struct({ status: Schema.Literal("healthy"), service: Schema.Literal("router") })
  },
  chat(
    "every field",
    { model: "gemma2:27b", complexity: 5, priority: 10, force_tier: null, stream: false, max_tokens: 4096 },
    answered("gemma2:27b")
  ),
  chat("model and messages alone", { model: "gemma2:27b" }, answered("gemma2:27b")),
  chat("an unknown field", { model: "gemma2:27b", more: true }, answered("gemma2:27b")),
  chat("a shell of the tier that is forced", { model: "llama-3.3-70b", force_tier: "L2" }, answered("llama-3.3-70b")),
  ...(
    [
      ["no complexity", {}, "gemma2:27b"],
      ["complexity 8", { complexity: 8 }, "gemma2:27b"],
      ["complexity 9", { complexity: 9 }, "gemini-2.5-pro"],
      ["force_tier L1 before complexity 9", { complexity: 9, force_tier: "L1" }, "gemma2:27b"],
      ["force_tier L2", { force_tier: "L2" }, "llama-3.3-70b"],
      ["force_tier L3", { force_tier: "L3" }, "gemini-2.5-pro"]
    ] as const
  ).map(([name, fields, shell]) =>
    chat(
      `the tier, ${name}`,
      { model: "auto", ...fields },
      { ...answered("auto"), differs: { line: "model-that-answered", ...answered(shell) } }
    )
  ),
  chat(
    "a ghost as the model: its preferred shell",
    { model: "Librarian" },
    { ...answered("Librarian"), differs: { line: "model-that-answered", ...answered("gemma2:27b") } }
  ),
  chat(
    "a ghost whose preferred shell fails: its fallback",
    { model: "Fallen" },
    { ...failed(500, "exception"), differs: { line: "fallbacks", ...answered("llama-3.3-70b") } }
  ),
  chat(
    "a ghost that is not an admin",
    { model: "gemma2:27b" },
    { as: "Librarian", ...denied, differs: { line: "agents-may-infer", ...answered("gemma2:27b") } }
  ),
  chat("a ghost that is not certified", { model: "gemma2:27b" }, { as: "Scout", ...denied }),
  chat("a ghost that the policy gives no shell", { model: "gemma2:27b" }, { as: "Stranger", ...denied }),
  chat(
    "stream",
    { model: "gemma2:27b", stream: true },
    {
      ...answered("gemma2:27b"),
      differs: {
        line: "streams",
        fields: Schema.Struct({
          events: Schema.NonEmptyArray(
            Schema.Struct({ object: Schema.Literal("chat.completion.chunk"), model: Schema.Literal("gemma2:27b") })
          ),
          ending: Schema.Literal("[DONE]")
        })
      }
    }
  ),
  chat(
    "a provider that fails",
    { model: "broken" },
    {
      ...failed(500, "exception"),
      differs: { line: "provider-failures", ...failed(502, "provider_failed") }
    }
  ),
  chat(
    "a shell of another tier than the forced one",
    { model: "gemma2:27b", force_tier: "L3" },
    { ...answered("gemma2:27b"), differs: { line: "forced-tier", ...failed(400, "invalid_request") } }
  ),
  chat(
    "a ghost without a shell of the forced tier",
    { model: "Librarian", force_tier: "L3" },
    { ...answered("Librarian"), differs: { line: "forced-tier", ...failed(404, "model_not_found") } }
  )
]
