import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../src/audit/AuditUnavailable.ts"
import type { AuditId } from "../../src/audit/encoding/AuditId.ts"
import { GatekeeperClient } from "../../src/clients/GatekeeperClient.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { answering, type Task } from "../../src/guardian/Answering.ts"
import type { Badge, Badges } from "../../src/guardian/badges/Badges.ts"
import { badgeTasks } from "../../src/guardian/badges/BadgeTasks.ts"
import { DatabaseUnavailable } from "../../src/guardian/Store.ts"

const badge: Badge = { ghostId: "g", badge: "b", grantedAt: DateTime.unsafeMake(1_760_000_000_000) }

/** The badges of one ghost in memory. */
const badgesWith = (given: Badge | undefined) => {
  let held = given
  const badges: typeof Badges.Service = {
    list: () => Effect.sync(() => (held === undefined ? [] : [held])),
    find: () => Effect.sync(() => held),
    grant: () =>
      Effect.sync(() => {
        const isNew = held === undefined
        held ??= badge
        return { badge: held, isNew }
      }),
    take: () =>
      Effect.sync(() => {
        const taken = held
        held = undefined
        return taken
      }),
    restore: (taken) =>
      Effect.sync(() => {
        held = taken
      })
  }
  return { badges, held: () => held }
}

const asking = HttpServerRequest.fromWeb(new Request("http://guardian/", { headers: { "x-request-id": "r" } }))

/** Whoever asks may. */
const allowing = Layer.succeed(GatekeeperClient, {
  authorize: () => Effect.succeed({ ghostId: "admin", groups: [], auditId: "1" })
})

/** The same, and the trail takes nothing. */
const unrecorded = Layer.mergeAll(
  allowing,
  Layer.succeed(AuditLog, {
    record: () => Effect.fail(new AuditUnavailable({ reason: "full", detail: "as told" })),
    withdraw: () => Effect.void,
    accepting: Effect.succeed(false),
    status: Effect.dieMessage("nobody asks")
  })
)

const answered = <I>(task: Task<I>, input: I) => {
  const logged: Array<string> = []
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message }) => {
      logged.push(String(message))
    })
  )
  return Effect.flatMap(answering, (answer) => answer(task, asking, Effect.succeed(input))).pipe(
    Effect.provide([unrecorded, logger]),
    Effect.map(({ status }) => ({ status, logged: logged.join("\n") }))
  )
}

describe("What the guardian fails at by a fault of its own", () => {
  const recording = (task: Task<null>, input: Effect.Effect<null>) =>
    Effect.gen(function* () {
      const rows: Array<AuditEvent> = []
      const trail = Layer.succeed(AuditLog, {
        record: (event) =>
          Effect.as(
            Effect.sync(() => rows.push(event)),
            "1" as AuditId
          ),
        withdraw: () => Effect.void,
        accepting: Effect.succeed(true),
        status: Effect.dieMessage("nobody asks")
      })
      const exit = yield* Effect.flatMap(answering, (answer) => Effect.exit(answer(task, asking, input))).pipe(
        Effect.provide([allowing, trail])
      )
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      return rows
    })
  const failing: Task<null> = {
    event: "session.end",
    may: "execute",
    within: "sessions",
    resource: () => "sessions/a/s",
    work: () => Effect.dieMessage("a fault")
  }

  it.effect("has its row, though nobody foresaw it", () =>
    Effect.gen(function* () {
      expect(yield* recording(failing, Effect.succeed(null))).toMatchObject([
        { action: "session.end", resource: "sessions/a/s", ghostId: "admin", result: "DENIED", requestId: "r" }
      ])
      expect(yield* recording(failing, Effect.dieMessage("a fault"))).toMatchObject([
        { action: "session.end", resource: "sessions", ghostId: null, result: "DENIED", requestId: "r" }
      ])
    })
  )
})

describe("What the trail cannot take", () => {
  it.effect("is undone: a badge that was taken is there again, one that was granted is not", () =>
    Effect.gen(function* () {
      const asked = { ghost: "g", badge: "b" }
      const taking = badgesWith(badge)
      expect((yield* answered(badgeTasks(taking.badges).take, asked)).status).toBe(503)
      expect(taking.held()).toEqual(badge)
      const granting = badgesWith(undefined)
      expect((yield* answered(badgeTasks(granting.badges).grant, asked)).status).toBe(503)
      expect(granting.held()).toBeUndefined()
    })
  )

  it.effect("is told of in the log where it stands, as long as something was changed", () =>
    Effect.gen(function* () {
      const ended: Task<null> = {
        event: "session.end",
        may: "execute",
        within: "sessions",
        resource: () => "sessions/a/s",
        work: () => Effect.succeed({ body: {}, reason: "ended", undo: "stands" })
      }
      const standing = yield* answered(ended, null)
      expect([standing.status, standing.logged]).toEqual([
        503,
        expect.stringContaining("ALARM: session.end on sessions/a/s has no row in the trail and stands")
      ])
      const failing = Effect.fail(new DatabaseUnavailable({ reason: "away" }))
      const failed = yield* answered(
        { ...ended, work: () => Effect.succeed({ body: {}, reason: "ended", undo: failing }) },
        null
      )
      expect(failed.logged).toContain("stands: away")
      const read = yield* answered({ ...ended, work: () => Effect.succeed({ body: {}, reason: "read" }) }, null)
      expect([read.status, read.logged]).toEqual([503, ""])
    })
  )
})
