import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RemoteAuditStore from "../../../src/audit/remote/RemoteAuditStore.ts"
import { makeLedger } from "../../../src/audit/remote/RemoteAuditStore.ts"
import { guardianEvent, rowsOf as rowsOfEvent } from "../../support/AuditEvents.ts"
import { httpFront } from "../../support/FaultyHttpProxy.ts"
import { Gravitas, rowsOf as query, tokenOf } from "../../support/Gravitas.ts"

const rowsOf = (number: number, options: Parameters<typeof rowsOfEvent>[1] = {}) =>
  rowsOfEvent(number, { event: guardianEvent, ...options })

const certain = { certain: true }
const doubtful = { certain: false }

const incarnationOf = (source: string) => ({
  source,
  host: "elsewhere",
  pid: 1,
  startedAt: Date.now(),
  bootId: "boot",
  durability: "journal"
})

layer(Layer.merge(Gravitas.layer({ args: ["gatekeeper"] }), NodeHttpClient.layerUndici), {
  timeout: "60 seconds",
  excludeTestServices: true
})("an AuditStore over HTTP", (it) => {
  const open = (ghost = "service:guardian") =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper } = yield* Gravitas
      const front = yield* httpFront(gatekeeper)
      const token = yield* Effect.promise(() => tokenOf(ghost))
      const options = {
        location: Effect.succeed(front.url),
        token: { authorization: Effect.succeed(Redacted.make(`Bearer ${token}`)), renew: Effect.void },
        deadline: "3 seconds"
      } as const
      const store = yield* RemoteAuditStore.make(options)
      const ledger = yield* makeLedger(options)
      const written = (source: string | undefined) =>
        Effect.map(
          query(databaseUrl, "select seq::integer from gatekeeper.audit_log where source = $1 order by seq", [source]),
          (rows) => rows.map((row) => row["seq"])
        )
      return { front, store, ledger, written, databaseUrl }
    })

  it.scoped("an answer that is lost after COMMIT leaves the outcome open, and sending again settles it", () =>
    Effect.gen(function* () {
      const { front, ledger, store, written } = yield* open()
      const rows = rowsOf(10)
      front.loseAnswerTo("/append")
      const lost = yield* Effect.flip(store.append(rows, certain))
      expect([lost.phase, lost.sqlstate]).toEqual(["commit", undefined])
      // What a drain would get that did not know better.
      expect((yield* Effect.flip(store.append(rows, certain))).sqlstate).toBe("23505")
      expect(yield* store.append(rows, doubtful)).toEqual({ conflicts: [] })
      expect(yield* written(rows[0]?.source)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      expect(yield* ledger.source(rows[0]?.source ?? "")).toMatchObject({
        identity: "service:guardian",
        lastSeq: 10,
        committed: 10
      })
    })
  )

  it.scoped("a connection that was never made leaves no doubt", () =>
    Effect.gen(function* () {
      const store = yield* RemoteAuditStore.make({
        location: Effect.succeed("http://127.0.0.1:1"),
        token: { authorization: Effect.succeed(Redacted.make("Bearer none")), renew: Effect.void }
      })
      const error = yield* Effect.flip(store.append(rowsOf(1), certain))
      expect([error.phase, error.sqlstate]).toEqual(["connect", undefined])
    })
  )

  it.scoped("a server that stays silent is late, and the outcome open", () =>
    Effect.gen(function* () {
      const { front, store } = yield* open()
      const rows = rowsOf(1)
      const held = front.hold("/append")
      const error = yield* Effect.flip(store.append(rows, certain))
      expect([error.phase, error.late]).toEqual(["commit", true])
      expect(yield* held.release).toBe(200)
      expect(yield* store.append(rows, doubtful)).toEqual({ conflicts: [] })
    })
  )

  it.scoped("nothing of a writer that gave up is written after it asked where its rows are", () =>
    Effect.gen(function* () {
      const { front, store, written } = yield* open()
      const rows = rowsOf(4)
      const source = rows[0]?.source ?? ""
      yield* store.append(rows.slice(0, 2), certain)
      const held = front.hold("/append")
      const sending = yield* Effect.fork(Effect.flip(store.append(rows.slice(2), certain)))
      yield* held.arrived
      yield* store.abandon
      const abandoned = yield* Fiber.join(sending)
      expect([abandoned.phase, abandoned.sqlstate]).toEqual(["commit", undefined])
      expect((yield* Effect.flip(store.append(rows.slice(2), doubtful))).phase).toBe("connect")
      const located = yield* store.locate(
        incarnationOf(source),
        rows.map(({ id }) => id)
      )
      expect([...located.committed].toSorted()).toEqual(rows.slice(0, 2).map(({ id }) => id))
      // It was on its way all the time.
      yield* held.release
      expect(yield* written(source)).toEqual([1, 2])
      yield* store.signOff(incarnationOf(source), {
        lastSeq: 4,
        shed: 0,
        refused: 0,
        unwritten: 2,
        inDoubt: 0,
        quarantined: 0
      })
    })
  )

  it.scoped("a row that the table refuses is an error of the table, and becomes a dead letter by the same way", () =>
    Effect.gen(function* () {
      const { databaseUrl, store, written } = yield* open()
      const rows = rowsOf(2, { event: poison })
      yield* query(databaseUrl, "alter table gatekeeper.audit_log add constraint no_poison check (reason <> 'poison')")
      const error = yield* Effect.flip(store.append(rows, certain))
      expect([error.sqlstate, error.constraint]).toEqual(["23514", "no_poison"])
      const [row] = rows
      if (row === undefined) return
      yield* store.deadLetter(row, { sqlstate: "23514", reason: "poison", attempts: 1 })
      const [letter] = yield* query(
        databaseUrl,
        "select encode(leaf_hash, 'hex') as hash from gatekeeper.audit_dead_letter where event_id = $1",
        [row.id]
      )
      expect(letter).toEqual({ hash: row.leafHash })
      expect(yield* written(row.source)).toEqual([])
      yield* query(databaseUrl, "alter table gatekeeper.audit_log drop constraint no_poison")
    })
  )

  it.scoped("who asks for silent sources is told of its own, and a partition that may not be is not made", () =>
    Effect.gen(function* () {
      const guardian = yield* open()
      const router = yield* open("service:router")
      const [own, other] = [incarnationOf(crypto.randomUUID()), incarnationOf(crypto.randomUUID())]
      yield* guardian.store.register(own)
      yield* router.store.register(other)
      const silent = (yield* guardian.ledger.silent(0)).map(({ source }) => source)
      expect(silent).toContain(own.source)
      expect(silent).not.toContain(other.source)
      expect((yield* guardian.ledger.sources({ limit: 100 })).map(({ source }) => source)).toContain(other.source)
      const [old] = rowsOf(1, { timestamp: 0 })
      if (old !== undefined) expect(yield* guardian.store.makePartition(old.id)).toBe(false)
      const refused = yield* Effect.flip(guardian.store.heartbeat(other))
      expect(refused.sqlstate).toBe("28S01")
    })
  )
})

const poison = { ...guardianEvent, reason: "poison" }
