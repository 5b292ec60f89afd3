import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { loadModels, parseModels } from "../../../src/router/models/ModelsFile.ts"

const parsed = (text: string) => Either.getOrThrow(parseModels(text, "models.yaml"))
const refused = (text: string) => Either.getOrThrow(Either.flip(parseModels(text, "models.yaml"))).message

const providers = "providers:\n  p: { kind: echo }\n"

describe("parseModels", () => {
  it("reads the file that is shipped, and every default in it", () => {
    const { ghosts, providers, shells } = parsed(readFileSync("config/models.yaml", "utf8"))
    expect(shells.get("gemma2:27b")).toEqual({
      name: "gemma2:27b",
      tier: "L1",
      provider: "ollama",
      upstreamModel: "gemma2:27b"
    })
    expect(shells.get("llama-3.3-70b")?.upstreamModel).toBe("meta-llama/Llama-3.3-70B-Instruct")
    expect(providers.get("deepinfra")?.apiKeyVariable).toBe("DEEPINFRA_API_KEY")
    expect([...providers.values()].map(({ tokenLimit }) => tokenLimit)).toEqual(Array(4).fill("max_tokens"))
    expect(Duration.toMillis(providers.get("ollama")?.timeouts.connect ?? 0)).toBe(1_000)
    expect(Duration.toMillis(providers.get("gemini")?.timeouts.connect ?? 0)).toBe(5_000)
    expect(ghosts.get("Librarian")?.shells.map(({ name }) => name)).toEqual(["gemma2:27b", "llama-3.3-70b", "echo"])
    expect([...new Set([...shells.values()].map(({ tier }) => tier))]).toEqual(["L1", "L2", "L3"])
  })

  const cases: ReadonlyArray<readonly [string, string, string]> = [
    [
      "an unknown key",
      `${providers}shels: {}\nshells: {}`,
      "models.yaml:3:1: shels is not a known key; known: providers, shells, ghosts"
    ],
    ["what is not YAML", "providers: [", "models.yaml:1:13: "],
    ["a missing part", "shells: {}", "models.yaml:1:1: providers is missing"],
    [
      "a dangling provider",
      `${providers}shells:\n  s: { tier: L1, provider: q }`,
      "models.yaml:4:28: shells.s.provider is q, which is not a provider"
    ],
    [
      "a dangling shell",
      `${providers}shells: {}\nghosts:\n  G: { preferred_shell: s }`,
      "models.yaml:5:25: ghosts.G.preferred_shell is s, which is not a shell"
    ],
    [
      "a dangling fallback",
      `${providers}shells:\n  s: { tier: L1, provider: p }\nghosts:\n  G: { preferred_shell: s, fallback_shells: [t] }`,
      "models.yaml:6:46: ghosts.G.fallback_shells[0] is t, which is not a shell"
    ],
    [
      "a shell named twice by a ghost",
      `${providers}shells:\n  s: { tier: L1, provider: p }\nghosts:\n  G: { preferred_shell: s, fallback_shells: [s] }`,
      "models.yaml:6:46: ghosts.G.fallback_shells[0] is s, which the ghost names twice"
    ],
    [
      "an unknown tier",
      `${providers}shells:\n  s: { tier: L4, provider: p }`,
      "models.yaml:4:14: shells.s.tier must be one of L1, L2, L3"
    ],
    ["a number as name", `${providers}shells:\n  7: { tier: L1, provider: p }`, "quote it"],
    [
      "a name that is given twice",
      `${providers}shells:\n  s: { tier: L1, provider: p }\n  s: { tier: L2, provider: p }`,
      "models.yaml:5:3: shells.s is defined twice"
    ],
    [
      "names that differ by case",
      `${providers}shells:\n  s: { tier: L1, provider: p }\n  S: { tier: L2, provider: p }`,
      "differ by case only"
    ],
    ["a shell called auto", `${providers}shells:\n  auto: { tier: L1, provider: p }`, "must not be called auto"],
    [
      "a shell and a ghost of one name",
      `${providers}shells:\n  s: { tier: L1, provider: p }\nghosts:\n  s: { preferred_shell: s }`,
      "s is a shell and a ghost"
    ],
    [
      "a provider without a URL",
      "providers:\n  p: { kind: openai-compatible }\nshells: {}",
      "models.yaml:2:6: providers.p.base_url is missing"
    ],
    [
      "a URL of another scheme",
      "providers:\n  p: { kind: openai-compatible, base_url: ftp://x }\nshells: {}",
      "must be an http or https URL"
    ],
    [
      "a limit of tokens by a name that no provider has",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, token_limit: tokens }\nshells: {}",
      "models.yaml:2:69: providers.p.token_limit must be one of max_tokens, max_completion_tokens"
    ],
    [
      "what an echo does not have",
      "providers:\n  p: { kind: echo, token_limit: max_tokens }\nshells: {}",
      "models.yaml:2:20: providers.p.token_limit is not a known key; known: kind, timeouts"
    ],
    [
      "a rule for a field that does not exist",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, fields: { store: ignore } }\nshells: {}",
      "models.yaml:2:73: providers.p.fields.store must be one of pass, drop, refuse"
    ],
    [
      "a rule for a field that the router sets",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, fields: { stream: drop } }\nshells: {}",
      "models.yaml:2:66: providers.p.fields.stream is set by Gravitas"
    ],
    [
      "a key among the headers",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, headers: { Authorization: sk-1 } }\nshells: {}",
      "providers.p.headers.Authorization would hold a key; name its variable by api_key_env"
    ],
    ...["x-api-key", "Api-Key", "x-goog-api-key", "Ocp-Apim-Subscription-Key", "X-Auth-Token", "apikey", "Cookie"].map(
      (name) =>
        [
          `the header ${name}`,
          `providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, headers: { ${name}: sk-1 } }\nshells: {}`,
          `providers.p.headers.${name} would hold a key; name its variable by api_key_env, and its header by api_key_header`
        ] as const
    ),
    ...["key", "api_key", "access_token", "subscription-key", "sig"].map(
      (name) =>
        [
          `${name} in the query`,
          `providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, query: { ${name}: sk-1 } }\nshells: {}`,
          `providers.p.query.${name} would hold a key`
        ] as const
    ),
    [
      "a proxy in two places",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, proxy: 'http://x', proxy_env: P }\nshells: {}",
      "models.yaml:2:63: providers.p.proxy is given beside proxy_env"
    ],
    [
      "a truth value that is a text",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, stream_options: 'no' }\nshells: {}",
      "models.yaml:2:72: providers.p.stream_options must be true or false"
    ],
    [
      "a proxy with a password",
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, proxy: 'http://u:p@x' }\nshells: {}",
      "providers.p.proxy must have no user, password"
    ],
    [
      "a timeout that is not a duration",
      "providers:\n  p: { kind: echo, timeouts: { idle: soon } }\nshells: {}",
      "models.yaml:2:38: providers.p.timeouts.idle must be a duration"
    ],
    [
      "a name too long for the policy",
      `${providers}shells:\n  ${"ü".repeat(100)}: { tier: L1, provider: p }`,
      "too long"
    ]
  ]
  for (const [what, text, problem] of cases) {
    it(`refuses ${what}, with its line and column`, () => expect(refused(text)).toContain(problem))
  }

  it("reads how a provider is asked", () => {
    const { ghosts, providers: read } = parsed(`providers:
  azure:
    kind: openai-compatible
    base_url: https://x.example/v1
    api_key_env: KEY
    api_key_header: Api-Key
    headers: { X-Title: fleet, X-Monkey: "1", X-Max-Tokens: "2" }
    query: { api-version: 2024-10-21 }
    proxy_env: HTTPS_PROXY
    stream_options: false
    fields: { top_k: pass, store: drop, "*": refuse }
shells:
  s: { tier: L1, provider: azure }
ghosts:
  G: { preferred_shell: s, fallback_on_refusal: true }
`)
    expect(read.get("azure")).toMatchObject({
      apiKeyHeader: "api-key",
      headers: new Map([
        ["x-title", "fleet"],
        ["x-monkey", "1"],
        ["x-max-tokens", "2"]
      ]),
      query: new Map([["api-version", "2024-10-21"]]),
      proxyVariable: "HTTPS_PROXY",
      streamOptions: false,
      fields: new Map([
        ["top_k", "pass"],
        ["store", "drop"],
        ["*", "refuse"]
      ])
    })
    expect(ghosts.get("G")?.fallsBackOnRefusal).toBe(true)
  })

  it("repeats neither a key that stands where its variable's name should, nor a password in a URL", () => {
    const key = refused(
      "providers:\n  p: { kind: openai-compatible, base_url: http://x/v1, api_key_env: sk-SECRET }\nshells: {}"
    )
    expect(key).toContain("must be the NAME of a variable")
    const url = refused("providers:\n  p: { kind: openai-compatible, base_url: 'http://u:SECRET@x/v1' }\nshells: {}")
    expect(url).toContain("no user, password")
    expect(key + url).not.toContain("SECRET")
  })

  it("all problems are found in one run", () => {
    expect(
      refused("providers:\n  p: { kind: what }\nshells:\n  s: { tier: L9, provider: q }").split("\n")
    ).toHaveLength(4)
  })

  it.effect("the error of a missing file of a relative path says where it was looked for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(loadModels("nowhere/models.yaml"))
      expect(error.message).toContain(`no such file: there is no ${resolve("nowhere/models.yaml")}`)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("the error of a missing file names the variable", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(loadModels("/nowhere/models.yaml"))
      expect(error.message).toContain("no such file")
      expect(error.message).toContain("ROUTER_MODELS_PATH")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
