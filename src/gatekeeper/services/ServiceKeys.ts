import type { KeyObject } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type ServiceName, servicesOf } from "../../domain/Service.ts"
import { Settings } from "../../platform/config/Settings.ts"
import * as KeyFile from "../../platform/os/KeyFile.ts"
import { databaseError } from "../../platform/postgres/DatabaseError.ts"
import { type EnrolledKey, serviceKeyTable } from "./ServiceKeyTable.ts"

/** The key in this home was withdrawn, so no other gatekeeper accepts the tokens that it signs. */
export class OwnKeyWithdrawn extends Schema.TaggedError<OwnKeyWithdrawn>()("OwnKeyWithdrawn", { file: Schema.String }) {
  override get message(): string {
    return `the key ${this.file} was withdrawn. Move it away: the gatekeeper makes and enrols a new one`
  }
}

/** A withdrawn key is refused after this time, also by gatekeepers that did not withdraw it. */
const refreshInterval = "5 seconds"

/** Between two looks for an unknown key, in milliseconds: a caller can name as many as it likes. */
const lookInterval = 1_000

/** Keys of services that prove who they are, and the key with which this gatekeeper signs tokens. */
export class ServiceKeys extends Context.Tag("gatekeeper/services/ServiceKeys")<
  ServiceKeys,
  {
    readonly own: KeyFile.PrivateKey
    /** The valid key of that id, if it belongs to `service`; looks for a new one in the database and in the home. */
    readonly find: (id: string, service: string) => Effect.Effect<KeyObject | undefined>
  }
>() {
  static readonly layer = Layer.scoped(
    ServiceKeys,
    Effect.gen(function* () {
      const { home } = yield* Settings
      const table = yield* serviceKeyTable
      const own = yield* KeyFile.readOrMake(home, "gatekeeper" satisfies ServiceName)
      let keys: ReadonlyMap<string, EnrolledKey> = new Map()
      /** When each service's keys were looked for: callers name few services, and an unknown key of one leaves the others alone. */
      const lookedAt = new Map<string, number>()

      const load = Effect.map(table.list, (rows) => {
        keys = new Map(rows.map((row) => [row.id, row]))
      })
      const refresh = load.pipe(
        Effect.mapError((cause) => databaseError("statement", cause)),
        Effect.catchAll(({ reason }) => Effect.logDebug(`Keys of services were not read again: ${reason}`))
      )
      /** In a shared home a service needs no enrolment: who may write there could replace the gatekeeper's own key. */
      const enrolFromHome = (service: string) =>
        KeyFile.read(home, service).pipe(
          Effect.flatMap((found) =>
            found === undefined || keys.has(found.id)
              ? Effect.void
              : Effect.zipRight(
                  table.enrol(service, found, "the gatekeeper, from its home"),
                  Effect.logInfo(`The key ${found.id} of ${service} is enrolled: it is in this gatekeeper's home.`)
                )
          ),
          Effect.catchAll(({ message }) => Effect.logWarning(`The key of ${service} was not enrolled: ${message}`))
        )
      const valid = (id: string, service: string): EnrolledKey | undefined => {
        const known = keys.get(id)
        return known !== undefined && known.service === service && known.withdrawnAt === null ? known : undefined
      }

      yield* load
      if (keys.get(own.id)?.withdrawnAt != null) return yield* new OwnKeyWithdrawn({ file: own.file })
      if (!keys.has(own.id)) yield* table.enrol("gatekeeper", own, "the gatekeeper itself")
      yield* load
      yield* Effect.forkScoped(Effect.repeat(refresh, Schedule.spaced(refreshInterval)))

      return {
        own,
        find: Effect.fnUntraced(function* (id, service) {
          if (!keys.has(id)) {
            const now = yield* Clock.currentTimeMillis
            if (Math.abs(now - (lookedAt.get(service) ?? Number.NEGATIVE_INFINITY)) >= lookInterval) {
              lookedAt.set(service, now)
              yield* refresh
              if (!keys.has(id) && servicesOf(`service:${service}`).length > 0) {
                yield* enrolFromHome(service)
                yield* refresh
              }
            }
          }
          const known = valid(id, service)
          return known === undefined ? undefined : KeyFile.keyObjectOf(known.x)
        })
      }
    })
  )
}
