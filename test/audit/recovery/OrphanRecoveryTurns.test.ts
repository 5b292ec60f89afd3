import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import * as Journal from "../../../src/audit/journal/Journal.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import { bootId } from "../../../src/platform/os/BootId.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { journaled, journalFolder, leaveJournal, trailOf } from "../../support/Journals.ts"
import { hastily } from "../../support/SkewedClock.ts"
import { gatekeeperDatabase, openTrail, query, until, withLogs } from "../../support/Trail.ts"

type Url = Parameters<typeof query>[0]

/** A journal whose second record no program knows, and whose quarantine takes no file. */
const leaveStrange = (url: Url, directory: string) =>
  Effect.gen(function* () {
    const source = crypto.randomUUID()
    const scope = yield* Scope.make()
    const journal = yield* Journal.open({
      directory,
      identity: {
        trail: yield* trailOf(url),
        source,
        bootId: yield* bootId,
        startedAt: Date.now(),
        host: "host-of-the-dead",
        pid: 4_242,
        durability: "journal"
      },
      quota: makeDiskQuota(2 ** 26),
      flushInterval: "1 second"
    }).pipe(Scope.extend(scope))
    for (const row of rowsOf(3, { source })) {
      journal.append(row.seq, row.seq === 2 ? JSON.stringify({ of: "a later program" }) : canonicalJson(row))
    }
    yield* Scope.close(scope, Exit.void)
    const inTheWay = Path.join(directory, "quarantine", source, "record-2.bin.part")
    yield* Effect.promise(() => Fs.mkdir(inTheWay, { recursive: true }))
    return { source, path: journal.path, fix: Effect.promise(() => Fs.rmdir(inTheWay)) }
  })

const rowsBySource = (url: Url, sources: ReadonlyArray<string>) =>
  query(
    url,
    `select source, count(*)::integer as rows from gatekeeper.audit_log where source = any($1) group by source`,
    [sources]
  )

it.scopedLive(
  "a journal whose quarantine cannot be written is reported, delays no other journal, and is recovered once it can",
  () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const directory = yield* journalFolder
        const strange = yield* leaveStrange(url, directory)
        const others = yield* Effect.replicateEffect(leaveJournal(url, directory, 5), 4)
        const trail = yield* hastily(openTrail(url, { ...journaled(directory), batchSize: 1 }))
        const status = yield* until(
          trail.log,
          ({ journal }) => journal?.others.adopted === 4 && journal.others.stuck.length === 1
        )
        expect(status.journal?.others.stuck).toMatchObject([
          { path: strange.path, reason: expect.stringContaining("the quarantine cannot be written") }
        ])
        const sources = others.map(({ source }) => source)
        expect((yield* rowsBySource(url, sources)).map(({ rows }) => rows)).toEqual([5, 5, 5, 5])
        const told = lines.filter(
          (line) => line.startsWith("ERROR") && line.includes("An audit journal cannot be read since")
        )
        expect(told).toHaveLength(1)
        expect(told[0]).toContain("the quarantine cannot be written")
        expect(lines.filter((line) => line.includes("can be read again"))).toEqual([])
        yield* strange.fix
        yield* until(trail.log, ({ journal }) => journal?.others.adopted === 5 && journal.others.stuck.length === 0)
        expect(yield* rowsBySource(url, [strange.source])).toMatchObject([{ rows: 2 }])
      })
    ),
  60_000
)

it.scopedLive(
  "a journal that vanishes while it is read delays no other journal, and is not looked for again",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const left = yield* Effect.replicateEffect(leaveJournal(url, directory, 5_000), 2)
      let gone = ""
      const trail = yield* hastily(
        openTrail(url, { ...journaled(directory), batchSize: 20 }, (store) => ({
          ...store,
          append: (rows, options) =>
            Effect.tap(store.append(rows, options), () =>
              Effect.promise(async () => {
                const path = left.find(({ source }) => source === rows[0]?.source)?.path
                if (gone !== "" || path === undefined) return
                gone = path
                await Fs.rm(path, { recursive: true })
              })
            )
        }))
      )
      yield* until(trail.log, ({ journal }) => journal?.others.stuck.some(({ path }) => path === gone) === true)
      yield* until(trail.log, ({ journal }) => journal?.others.adopted === 1)
      const other = left.filter(({ path }) => path !== gone).map(({ source }) => source)
      expect(yield* rowsBySource(url, other)).toMatchObject([{ rows: 5_000 }])
      yield* until(trail.log, ({ journal }) => journal?.others.stuck.length === 0)
    }),
  60_000
)
