import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Gravitas, rowsOf, tokenOf } from "../support/Gravitas.ts"

const policy = Path.join(tmpdir(), `open-to-anonymous-${process.pid}.yaml`)
writeFileSync(
  policy,
  'groups: {admin: {permissions: [{action: "*", resource: "*"}]}}\nghost_mappings: {anonymous: [admin]}\n'
)

/** As a browser sends it: `fetch` lets no caller choose a Host. */
const send = (url: string, method: string, headers: Readonly<Record<string, string>>, body = "") =>
  Effect.async<{ readonly status: number; readonly text: string }>((resume) => {
    const request = Http.request(url, { method, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, text })))
    })
    request.end(body)
  })

const question = '{"resource":"vaults/a","action":"read"}'

layer(
  Gravitas.layer({
    environment: { ACCESS_POLICY_PATH: policy, AUTH_DISABLED: "true", ALLOWED_HOSTS: "Gravitas.Example" }
  }),
  {
    timeout: "60 seconds",
    excludeTestServices: true
  }
)("Without authentication a page of another site", (it) => {
  it.effect("reaches no operation by any lane or service: not by a name, an origin, or a type that it may send", () =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper, program } = yield* Gravitas
      const guardian = yield* program.url("guardian")
      const router = yield* program.url("router")
      const json = { "content-type": "application/json" }
      const attacks = [
        [403, { host: "attacker.example", ...json }],
        [403, { origin: "https://attacker.example", ...json }],
        [403, { "sec-fetch-site": "cross-site", ...json }],
        [415, { "content-type": "text/plain" }],
        [415, { "content-type": "application/x-www-form-urlencoded" }]
      ] as const
      const targets = [
        [`${gatekeeper}/validate`, question],
        [`${gatekeeper}/Validate`, question],
        [`${gatekeeper}/audit/events`, '{"events":[{"id":"1","action":"a","resource":"b"}]}'],
        [`${gatekeeper}/policy/reload`, "{}"],
        [`${guardian}/certificate/issue`, '{"agent":"Scout"}'],
        [`${router}/v1/chat/completions`, '{"model":"echo","messages":[{"role":"user","content":"x"}]}']
      ] as const
      for (const [url, body] of targets) {
        for (const [status, headers] of attacks) {
          expect([url, headers, (yield* send(url, "POST", headers, body)).status]).toEqual([url, headers, status])
        }
      }
      for (const url of [`${gatekeeper}/audit/events`, `${gatekeeper}/health`, `${guardian}/sessions`]) {
        const answer = yield* send(url, "GET", { host: "attacker.example" })
        expect([url, answer.status]).toEqual([url, 403])
        expect(answer.text).toContain("ALLOWED_HOSTS")
      }
      expect(yield* rowsOf(databaseUrl, "select 1 from gatekeeper.audit_log where result = 'ALLOWED'")).toEqual([])
    })
  )

  it.effect("is told from a client, from the service's own page and from a configured name", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const json = { "content-type": "application/json" }
      for (const headers of [
        json,
        { origin: gatekeeper, "sec-fetch-site": "same-origin", ...json },
        { host: "gravitas.example", origin: "https://gravitas.example", ...json }
      ]) {
        for (const path of ["/validate", "/validate?slow"]) {
          expect((yield* send(`${gatekeeper}${path}`, "POST", headers, question)).status).toBe(200)
        }
      }
    })
  )
})

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("With authentication", (it) => {
  it.effect("a client without a browser sends any Host and type as before, and a page of another site is refused", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const token = yield* Effect.promise(() => tokenOf("Librarian"))
      const authorization = `Bearer ${token}`
      for (const path of ["/validate", "/validate?slow"]) {
        const ask = (headers: Readonly<Record<string, string>>) =>
          Effect.map(
            send(`${gatekeeper}${path}`, "POST", { authorization, ...headers }, question),
            ({ status }) => status
          )
        expect(yield* ask({})).toBe(200)
        expect(yield* ask({ host: "anything.example", "content-type": "application/x-www-form-urlencoded" })).toBe(200)
        expect(yield* ask({ origin: "https://attacker.example", "content-type": "application/json" })).toBe(403)
        expect(yield* ask({ origin: gatekeeper })).toBe(415)
      }
    })
  )
})
