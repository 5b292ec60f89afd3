import * as Os from "node:os"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AuditLog } from "../../audit/AuditLog.ts"
import { servicesOf } from "../../domain/Service.ts"
import { type CommandError, type OutputFlags, runCommand } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { quotedWord } from "../../platform/cli/Flags.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { Settings } from "../../platform/config/Settings.ts"
import * as KeyFile from "../../platform/os/KeyFile.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import { databaseError } from "../../platform/postgres/DatabaseError.ts"
import { type EnrolledKey, type ServiceKeyTable, serviceKeyTable } from "../services/ServiceKeyTable.ts"

/** A key that cannot be enrolled or withdrawn. */
export class KeyRefused extends Schema.TaggedError<KeyRefused>()("KeyRefused", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** Checks the name of a service, or of services in one process: `guardian+router`. */
const checkName = (name: string) =>
  servicesOf(`service:${name}`).length > 0
    ? Effect.void
    : new KeyRefused({ problem: `${quotedWord(name)} is not guardian, router, guardian+router or gatekeeper` })

const checkPublicKey = (x: string) =>
  /^[A-Za-z0-9_-]{43}$/.test(x)
    ? Effect.void
    : new KeyRefused({ problem: "the public key is not 32 bytes in base64url; gravitas service key <name> prints it" })

const loginName = Effect.orElseSucceed(
  Effect.try(() => Os.userInfo().username),
  () => "unknown"
)

/** Changes a key, and records the change. */
const changing = <E extends CommandError, R, E2 extends CommandError, R2, E3>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>,
  work: (table: ServiceKeyTable, by: string) => Effect.Effect<EnrolledKey, E3>,
  action: "service.enroll" | "service.withdraw"
) =>
  Effect.gen(function* () {
    const by = yield* loginName
    const key = yield* work(yield* serviceKeyTable, by)
    yield* (yield* AuditLog).record({
      action,
      resource: `services/${key.service}`,
      ghostId: null,
      shellId: null,
      result: "ALLOWED",
      reason: `${by} changed the key ${key.id} on the command line`,
      requestId: null,
      facts: { key_id: key.id, by }
    })
    return key
  }).pipe(Effect.provide(trail), Effect.provide(database))

const query = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.mapError(effect, (cause) => databaseError("statement", cause))

const keyOf = Effect.fnUntraced(function* (table: ServiceKeyTable, id: string) {
  const found = (yield* query(table.list)).find((key) => key.id === id)
  return found ?? (yield* new KeyRefused({ problem: `no key has the id ${quotedWord(id)}` }))
})

const keyJson = ({ enrolledAt, enrolledBy, id, service, withdrawnAt, withdrawnBy, x }: EnrolledKey) => ({
  key_id: id,
  service,
  public_key: x,
  enrolled_at: DateTime.formatIso(enrolledAt),
  enrolled_by: enrolledBy,
  withdrawn_at: withdrawnAt === null ? null : DateTime.formatIso(withdrawnAt),
  withdrawn_by: withdrawnBy
})

const stateOf = ({ withdrawnAt }: EnrolledKey): Cell =>
  withdrawnAt === null ? { text: "valid", tone: "good" } : { text: "withdrawn", tone: "bad" }

const renderKeys = (keys: ReadonlyArray<EnrolledKey>, colours: boolean): string =>
  keys.length === 0
    ? "No keys."
    : renderTable(
        ["service", "key", "state", "enrolled at", "by"],
        keys.map((key) => [
          { text: key.service },
          { text: key.id },
          stateOf(key),
          { text: DateTime.formatIso(key.enrolledAt) },
          { text: key.enrolledBy }
        ]),
        colours
      )

const exitCodes = { DatabaseError: ExitCode.noAccess, KeyRefused: ExitCode.refused }

export const enrollKey = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>,
  { name, publicKey, ...given }: OutputFlags & { readonly name: string; readonly publicKey: string }
) =>
  runCommand({
    ...given,
    command: "service enroll",
    work: Effect.zipRight(
      Effect.zipRight(checkName(name), checkPublicKey(publicKey)),
      changing(
        database,
        trail,
        Effect.fnUntraced(function* (table, by) {
          const key = yield* KeyFile.publicKeyOf(publicKey)
          yield* query(table.enrol(name, key, by))
          const enrolled = yield* keyOf(table, key.id)
          if (enrolled.withdrawnAt !== null)
            return yield* new KeyRefused({ problem: "the key was withdrawn; make another" })
          if (enrolled.service !== name)
            return yield* new KeyRefused({ problem: `the key is one of ${enrolled.service}` })
          return enrolled
        }),
        "service.enroll"
      )
    ),
    render: (key) => `The key ${key.id} of ${key.service} is enrolled.`,
    toJson: keyJson,
    exitCodes
  })

export const withdrawKey = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>,
  { keyId, ...given }: OutputFlags & { readonly keyId: string }
) =>
  runCommand({
    ...given,
    command: "service withdraw",
    work: changing(
      database,
      trail,
      Effect.fnUntraced(function* (table, by) {
        yield* keyOf(table, keyId)
        yield* query(table.withdraw(keyId, by))
        return yield* keyOf(table, keyId)
      }),
      "service.withdraw"
    ),
    render: (key) => `The key ${key.id} of ${key.service} is withdrawn. Its tokens end within two minutes.`,
    toJson: keyJson,
    exitCodes
  })

export const listKeys = <E extends CommandError, R>(database: Layer.Layer<Database, E, R>, given: OutputFlags) =>
  runCommand({
    ...given,
    command: "service list",
    work: Effect.flatMap(serviceKeyTable, ({ list }) => query(list)).pipe(Effect.provide(database)),
    render: renderKeys,
    toJson: (keys) => ({ keys: keys.map(keyJson) }),
    exitCodes
  })

/** Prints the public key of a service in this home, and makes the key where it does not exist. */
export const showKey = ({ name, ...given }: OutputFlags & { readonly name: string }) =>
  runCommand({
    ...given,
    command: "service key",
    work: Effect.gen(function* () {
      yield* checkName(name)
      const { home } = yield* Settings
      return yield* KeyFile.readOrMake(home, name)
    }),
    render: ({ x }) => x,
    toJson: ({ file, id, x }) => ({ key_id: id, service: name, public_key: x, file }),
    exitCodes
  })
