import * as Schema from "effect/Schema"
import type { OldRequest } from "./OldRequest.ts"

const Allowed = Schema.Struct({
  allowed: Schema.Literal(true),
  ghost_id: Schema.String,
  groups: Schema.Array(Schema.String),
  audit_id: Schema.UUID,
  reason: Schema.String
})

const detail = <const Text extends string>(text: Text) => Schema.Struct({ detail: Schema.Literal(text) })

const missing = detail("Missing Authorization header")
const invalid = detail("Invalid or expired token")
const denied = detail("Access denied by policy")
const detailed = Schema.Struct({ detail: Schema.String })

const validate = (
  name: string,
  ghost: string | undefined,
  body: unknown,
  answer: Pick<OldRequest, "status" | "fields" | "differs" | "authorization">
): OldRequest => ({
  name,
  service: "gatekeeper",
  route: "POST /validate",
  body,
  ...(ghost === undefined ? {} : { as: ghost }),
  ...answer
})

const yes = { status: 200, fields: Allowed }
const no = { status: 403, fields: denied }
const read = { action: "read", resource: "vaults/public" }

/** The policy that was shipped, a permission a line, with what lies just beyond it. */
const shipped = [
  ["Supervisor_Managed_Agent", "anything", "at/all", yes],
  ["dan_flory", "delete", "vaults/secret", yes],
  ["Librarian", "execute", "shells/l3/large", yes],
  ["Librarian", "read", "vaults/secret", yes],
  ["Librarian", "write", "vaults/secret", yes],
  ["Librarian", "execute", "tools/librarian/index", yes],
  ["Librarian", "execute", "tools/other/index", no],
  ["Librarian", "delete", "vaults/secret", no],
  ["Scout", "execute", "shells/l1/small", yes],
  ["Scout", "execute", "shells/l2/middle", no],
  ["Scout", "read", "vaults/public", yes],
  ["Scout", "write", "vaults/public", no],
  ["Stranger", "read", "vaults/public", no]
] as const

const overLong = { ...read, resource: "r".repeat(256) }
const hasControlCharacter = { ...read, resource: "vaults/\u0000public" }

export const gatekeeperRequests: ReadonlyArray<OldRequest> = [
  {
    name: "health",
    service: "gatekeeper",
    route: "GET /health",
    status: 200,
    fields: Schema.Struct({
      status: Schema.Literal("healthy"),
      service: Schema.Literal("gatekeeper"),
      database: Schema.Literal("connected")
    })
  },
  validate("a permitted action", "Scout", { ...read, metadata: { shell_id: "gemma2:27b" } }, yes),
  validate("no action, which means inference", "dan_flory", { resource: "gemma2:27b" }, yes),
  validate("a shell_id that is a number", "Scout", { ...read, metadata: { shell_id: 123 } }, yes),
  validate("an unknown field", "Scout", { ...read, more: true }, yes),
  ...shipped.map(([ghost, action, resource, answer]) =>
    validate(`${ghost}: ${action} ${resource}`, ghost, { action, resource }, answer)
  ),
  validate("no token", undefined, read, { status: 401, fields: missing }),
  validate("a token that is not a JWT", undefined, read, {
    status: 401,
    fields: invalid,
    authorization: () => "Bearer garbage"
  }),
  validate("a token with another signature", "Scout", read, {
    status: 401,
    fields: invalid,
    authorization: (token) => `Bearer ${token.slice(0, -4)}AAAA`
  }),
  validate("a token without its scheme", "Scout", read, {
    ...yes,
    authorization: (token) => token,
    differs: { line: "raw-token", status: 401, fields: invalid }
  }),
  validate("a scheme in lower case", "Scout", read, {
    status: 401,
    fields: invalid,
    authorization: (token) => `bearer ${token}`,
    differs: { line: "scheme-in-any-case", ...yes }
  }),
  validate("no resource", "Scout", { action: "read" }, { status: 422, fields: detailed }),
  validate("a resource that is a number", "Scout", { resource: 7 }, { status: 422, fields: detailed }),
  validate("a body that is not JSON", "Scout", "resource=a", { status: 422, fields: detailed }),
  validate("a resource of 256 characters", "Supervisor_Managed_Agent", overLong, {
    ...yes,
    differs: { line: "over-long-resource", status: 422, fields: detailed }
  }),
  validate("a NUL in the resource", "Supervisor_Managed_Agent", hasControlCharacter, {
    ...yes,
    differs: { line: "control-characters", status: 422, fields: detailed }
  }),
  validate(
    "a key twice in one object",
    "Scout",
    '{"action":"read","resource":"vaults/public","resource":"vaults/public"}',
    {
      ...yes,
      differs: { line: "keys-once", status: 422, fields: detailed }
    }
  ),
  validate(
    "a misspelt action",
    "dan_flory",
    { acton: "read", resource: "vaults/public" },
    {
      ...yes,
      differs: { line: "misspelt-action", status: 422, fields: detailed }
    }
  ),
  validate(
    "a resource that begins as a prefix does",
    "Librarian",
    { action: "execute", resource: "shellsABC" },
    { ...yes, differs: { line: "whole-segments", ...no } }
  )
]
