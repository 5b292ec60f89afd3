import { randomUUID } from "node:crypto"
import * as Fs from "node:fs"
import type { AddressInfo } from "node:net"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { type Enforcer, newEnforcer, newModelFromString, StringAdapter } from "casbin"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import Fastify from "fastify"
import { jwtVerify } from "jose"
import Pg from "pg"
import { destination, pino } from "pino"
import * as Yaml from "yaml"
import { endWithBench, tell, usageOnDemand } from "../../../test/support/BenchChild.ts"
import { decisionTable } from "./RecordedDecisions.ts"

/*
 * What a team might build instead of a gatekeeper: Fastify with its schemas, casbin with the same policy, jose for the token (each
 * token is verified once, as by the gatekeeper). The word says where a decision goes before it is answered: `insert` awaits one
 * INSERT; `pino` gives a line to pino's file, which by default writes it later; `pinoSync` writes it before it goes on.
 */

const environment = Config.all({
  url: Config.redacted("DATABASE_URL"),
  file: Config.string("DECISIONS_FILE"),
  secret: Config.string("JWT_SECRET_KEY"),
  policy: Config.string("ACCESS_POLICY_PATH")
})

const Policy = Schema.Struct({
  groups: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({
      inherits: Schema.optional(Schema.Array(Schema.String)),
      permissions: Schema.Array(
        Schema.Struct({
          action: Schema.String,
          resource: Schema.String,
          effect: Schema.optionalWith(Schema.String, { default: () => "allow" })
        })
      )
    })
  }),
  ghost_mappings: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.String) })
})

const model = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && (p.act == "*" || r.act == p.act)
`

const rulesOf = ({ ghost_mappings, groups }: typeof Policy.Type): ReadonlyArray<string> => [
  ...Object.entries(groups).flatMap(([group, { permissions }]) =>
    permissions.map(({ action, effect, resource }) => `p, ${group}, ${resource}, ${action}, ${effect}`)
  ),
  ...Object.entries(groups).flatMap(([group, { inherits = [] }]) => inherits.map((other) => `g, ${group}, ${other}`)),
  ...Object.entries(ghost_mappings).flatMap(([ghost, names]) => names.map((group) => `g, ${ghost}, ${group}`))
]

interface Decision {
  readonly id: string
  readonly at: string
  readonly ghost_id: string
  readonly shell_id: string | null
  readonly action: string
  readonly resource: string
  readonly result: "ALLOWED" | "DENIED"
  readonly reason: string
  readonly request_id: string
  readonly metadata: object
}

type Keep = (decision: Decision) => Promise<void> | void

/** As many connections as the load has: no request waits for one. */
const poolSize = 16

const insertInto = (url: string): Keep => {
  const pool = new Pg.Pool({ connectionString: url, max: poolSize })
  const { columns, name } = decisionTable
  const text = `insert into ${name} (${columns.join(", ")}) values (${columns.map((_, at) => `$${at + 1}`).join(", ")})`
  return async (decision) => {
    await pool.query({ name: "keep", text, values: columns.map((column) => decision[column]) })
  }
}

const lineIn = (file: string, sync: boolean): Keep => {
  const logger = pino(destination({ dest: file, sync }))
  return (decision) => logger.info(decision)
}

/** Verifies each token once, until it expires. */
const verifier = (secret: string) => {
  const key = new TextEncoder().encode(secret)
  const verified = new Map<string, { readonly ghost: string; readonly until: number }>()
  return async (authorization: string | undefined): Promise<string | undefined> => {
    const token = authorization?.startsWith("Bearer ") === true ? authorization.slice(7) : ""
    const known = verified.get(token)
    if (known !== undefined && known.until > Date.now()) return known.ghost
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: ["HS256"] })
      if (payload.sub === undefined) return undefined
      if (verified.size >= 1_000) verified.clear()
      verified.set(token, { ghost: payload.sub, until: (payload.exp ?? 0) * 1_000 })
      return payload.sub
    } catch {
      return undefined
    }
  }
}

const Question = {
  type: "object",
  required: ["action", "resource"],
  properties: {
    action: { type: "string", minLength: 1, maxLength: 1_000 },
    resource: { type: "string", minLength: 1, maxLength: 1_000 },
    metadata: { type: "object", additionalProperties: true }
  }
} as const

const answered = {
  type: "object",
  properties: {
    allowed: { type: "boolean" },
    ghost_id: { type: "string" },
    groups: { type: "array", items: { type: "string" } },
    audit_id: { type: "string" },
    reason: { type: "string" },
    matched: { type: "object", properties: { group: { type: "string" }, rule: { type: "string" } } },
    policy_version: { type: "string" }
  }
} as const

interface QuestionBody {
  readonly action: string
  readonly resource: string
  readonly metadata?: { readonly shell_id?: unknown }
}

const application = (enforcer: Enforcer, keep: Keep, secret: string) => {
  const app = Fastify()
  const ghostOf = verifier(secret)
  app.post<{ Body: QuestionBody }>(
    "/validate",
    { schema: { body: Question, response: { 200: answered, 403: answered } } },
    async ({ body, headers, id: requestId }, reply) => {
      const ghost = await ghostOf(headers.authorization)
      if (ghost === undefined) return reply.code(401).send({ error: "unauthenticated" })
      const { action, metadata = {}, resource } = body
      const [allowed, rule] = await enforcer.enforceEx(ghost, resource, action)
      const groups = await enforcer.getRolesForUser(ghost)
      const reason = allowed ? `rule ${rule.join(" ")} allows it` : "no rule allows it"
      const id = randomUUID()
      await keep({
        id,
        at: new Date().toISOString(),
        ghost_id: ghost,
        shell_id: typeof metadata.shell_id === "string" ? metadata.shell_id : null,
        action,
        resource,
        result: allowed ? "ALLOWED" : "DENIED",
        reason,
        request_id: requestId,
        metadata
      })
      const matched = { group: rule[0], rule: rule.join(" ") }
      reply.code(allowed ? 200 : 403)
      return { allowed, ghost_id: ghost, groups, audit_id: id, reason, matched, policy_version: "0123456789ab" }
    }
  )
  return app
}

endWithBench()

Effect.gen(function* () {
  const { file, policy, secret, url } = yield* environment
  const word = process.argv[2]
  const rules = rulesOf(Schema.decodeUnknownSync(Policy)(Yaml.parse(Fs.readFileSync(policy, "utf8"))))
  const enforcer = yield* Effect.promise(() =>
    newEnforcer(newModelFromString(model), new StringAdapter(rules.join("\n")))
  )
  const keep = word === "insert" ? insertInto(Redacted.value(url)) : lineIn(file, word === "pinoSync")
  const app = application(enforcer, keep, secret)
  yield* Effect.promise(() => app.listen({ port: 0, host: "127.0.0.1" }))
  const { port } = app.server.address() as AddressInfo
  yield* tell({ url: `http://127.0.0.1:${port}` })
  yield* usageOnDemand
}).pipe(NodeRuntime.runMain)
