import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditStore } from "../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import type { LeftBehind } from "../support/Journals.ts"
import { journaled, journalFolder, journalsIn, leaveJournal } from "../support/Journals.ts"
import { hastily } from "../support/SkewedClock.ts"
import { gatekeeperDatabase, openTrail, query, until, untilRows } from "../support/Trail.ts"

type Url = Parameters<typeof query>[0]

/** What the database knows of a source whose rows it has, and which did not sign off. */
const known = (url: Url, { rows }: LeftBehind) =>
  Effect.flatMap(Layer.build(PostgresAuditStore.layerUrl({ url })), (stores) =>
    Context.get(stores, AuditStore).append(rows, { certain: true })
  )

const removeSegments = ({ path }: LeftBehind) =>
  Effect.promise(async () => {
    for (const name of await Fs.readdir(path)) {
      if (name.endsWith(".segment")) await Fs.rm(Path.join(path, name))
    }
  })

const wordOf = (url: Url, source: string) =>
  query(
    url,
    `select unsigned_after::integer, signed_off_seq::integer as signed_off,
       (select count(*)::integer from gatekeeper.audit_log
        where result = 'LOST' and resource = 'audit/sources/' || $1::text) as receipts
     from gatekeeper.audit_source where source = $1::uuid`,
    [source]
  )

it.scopedLive(
  "a journal of which only a damaged state is left gets its word about the tail, and is removed; the state is kept",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const left = yield* leaveJournal(url, directory, 7)
      yield* known(url, left)
      yield* removeSegments(left)
      // As a power loss leaves a file that was not synced.
      yield* Effect.promise(() => Fs.writeFile(Path.join(left.path, "state"), "half of it"))
      const trail = yield* openTrail(url, journaled(directory))
      const { source } = yield* until(trail.log, ({ journal }) => journal?.others.adopted === 1)
      expect(yield* journalsIn(directory)).toEqual([source])
      expect(yield* wordOf(url, left.source)).toEqual([{ unsigned_after: 7, signed_off: null, receipts: 1 }])
      const kept = Path.join(directory, "quarantine", left.source, "state.damaged")
      expect(yield* Effect.promise(() => Fs.readFile(kept, "utf8"))).toBe("half of it")
    })
)

it.scopedLive.each(["unknown to the database", "that signed off"] as const)(
  "a journal of which only a damaged state is left, of a source %s, is removed without a word",
  (which) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const left = yield* leaveJournal(url, directory, 2)
      yield* removeSegments(left)
      yield* Effect.promise(() => Fs.writeFile(Path.join(left.path, "state"), ""))
      if (which === "that signed off") {
        yield* known(url, left)
        yield* query(
          url,
          "update gatekeeper.audit_source set signed_off_seq = 2, signed_off_at = now() where source = $1",
          [left.source]
        )
      }
      const trail = yield* openTrail(url, journaled(directory))
      yield* until(trail.log, ({ journal }) => journal?.others.adopted === 1)
      expect(yield* wordOf(url, left.source)).toEqual(
        which === "unknown to the database" ? [] : [{ unsigned_after: null, signed_off: 2, receipts: 0 }]
      )
      expect(yield* journalsIn(directory)).not.toContain(left.source)
    })
)

it.scopedLive.each([0, 7])(
  "a source whose directory stays stuck is closed after an hour of silence, unless its directory holds segments (%d rows)",
  (segmentsOf) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const stuck = yield* leaveJournal(url, directory, segmentsOf)
      const elsewhere = crypto.randomUUID()
      // It cannot be read, for an unknown time.
      yield* Effect.promise(async () => {
        await Fs.rm(Path.join(stuck.path, "state"))
        await Fs.mkdir(Path.join(stuck.path, "state"))
      })
      for (const source of [stuck.source, elsewhere]) {
        yield* query(
          url,
          `insert into gatekeeper.audit_source (source, last_seq, started_at, seen_at, durability)
           values ($1, 0, now() - interval '3 hours', now() - interval '2 hours', 'journal')`,
          [source]
        )
      }
      const trail = yield* hastily(openTrail(url, journaled(directory)))
      yield* untilRows(
        url,
        `select unsigned_after from gatekeeper.audit_source where source = '${elsewhere}'`,
        ([row]) => row?.["unsigned_after"] !== null
      )
      const closed = [{ unsigned_after: 0, signed_off: null, receipts: 1 }]
      const open = [{ unsigned_after: null, signed_off: null, receipts: 0 }]
      // They are looked at one after the other, in the order of their last sign of life.
      if (segmentsOf === 0) {
        yield* untilRows(
          url,
          `select unsigned_after from gatekeeper.audit_source where source = '${stuck.source}'`,
          ([row]) => row?.["unsigned_after"] !== null
        )
      } else yield* Effect.sleep("1 second")
      expect(yield* wordOf(url, stuck.source)).toEqual(segmentsOf === 0 ? closed : open)
      expect((yield* trail.log.status).journal?.others.stuck).toMatchObject([{ path: stuck.path }])
    }),
  60_000
)
