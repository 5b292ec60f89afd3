import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32c } from "@node-rs/crc32"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as AuditBuffer from "../../../src/audit/AuditBuffer.ts"
import { canonicalJson, draftRow, sealRow } from "../../../src/audit/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/EventEncoding.ts"
import * as Frame from "../../../src/audit/journal/Frame.ts"
import * as Journal from "../../../src/audit/journal/Journal.ts"
import * as JournalRoom from "../../../src/audit/journal/JournalRoom.ts"
import { makeUuidV7 } from "../../../src/audit/UuidV7.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { progress } from "../Progress.ts"
import { median, type Percentiles, percentiles } from "../Samples.ts"
import { fixed, line } from "../Table.ts"
import { drained, openTrail } from "./BenchTrail.ts"
import { type Subject, timeAll, timeEach } from "./Calls.ts"
import { event } from "./Events.ts"
import { eventBytes, plainFile, stringify } from "./PlainWrites.ts"

const rounds = 60
const perRound = 500

const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes))

const encoded = encodeEvent(event)
const timestamp = Date.now()
const identity = { id: nextId(timestamp), timestamp, source: Crypto.randomUUID(), seq: 10_000 }
const draft = draftRow(encoded, identity)
const json = canonicalJson(draft)
const row = sealRow(draft, json)
const frame = Buffer.alloc(Frame.maxFrame)
const frameBytes = Frame.encode(frame, 0, identity.seq, json, 0)

const frameFile = (home: string) =>
  Effect.acquireRelease(
    Effect.sync(() => Fs.openSync(Path.join(home, "frames"), "wx+", 0o600)),
    (fd) => Effect.sync(() => Fs.closeSync(fd))
  ).pipe(
    Effect.map((fd) => {
      let position = 0
      return () => {
        position += Fs.writeSync(fd, frame, 0, frameBytes, position)
      }
    })
  )

/** A buffer of which nobody takes; it is made anew before it grows beyond what a server's holds. */
const offering = Effect.gen(function* () {
  const make = AuditBuffer.make({ capacity: 65_536, batchSize: 1_000, linger: "20 millis" })
  let buffer = yield* make
  return {
    offer: () => buffer.offer(row),
    empty: Effect.map(make, (fresh) => {
      buffer = fresh
    })
  }
})

const appending = (home: string) =>
  Effect.gen(function* () {
    const journal = yield* Journal.open({
      directory: Path.join(home, "journal"),
      identity: {
        trail: Crypto.randomUUID(),
        source: identity.source,
        bootId: "bench",
        startedAt: timestamp,
        host: "bench",
        pid: process.pid,
        durability: "journal"
      },
      room: JournalRoom.make(4 * 2 ** 30),
      flushInterval: "1 second"
    })
    let seq = 0
    return () => {
      seq += 1
      if (journal.append(seq, json) !== undefined) throw new Error("the journal refused an event")
    }
  })

const subjects = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const { empty, offer } = yield* offering
    const trail = yield* openTrail({ url, home: yield* temporaryHome, durability: "journal" })
    const plain = yield* plainFile(home)
    const parts = {
      "the clock's reading": () => Date.now(),
      "the id (UUIDv7)": () => nextId(Date.now()),
      "bounds and canonical metadata": () => encodeEvent(event),
      "the row and its canonical JSON": () => canonicalJson(draftRow(encoded, identity)),
      "text to the frame's bytes": () => frame.write(json, Frame.frameHead),
      CRC32C: () => crc32c(frame.subarray(8, frameBytes), 1),
      "writeSync of the frame": yield* frameFile(home),
      "SHA-256, hexadecimal": () => sealRow(draft, json),
      "into the buffer": offer
    } satisfies Record<string, Subject>
    const wholes = {
      "record, journal, of a fiber": trail.record(event),
      "of it: the journal's append": yield* appending(home),
      "beside it: JSON.stringify": stringify,
      "beside it: stringify + bare append": plain.append
    } satisfies Record<string, Subject>
    return { parts, wholes, between: Effect.zipRight(empty, drained(trail)) }
  })

interface Taken {
  readonly means: Array<number>
  readonly samples: Float64Array
}

/** Microseconds. */
interface Figures extends Percentiles {
  /** Of a call in a loop, without the clock around it: the median of the rounds. */
  readonly mean: number
}

const figures = ({ means, samples }: Taken): Figures => ({ mean: median(means) / 1_000, ...percentiles(samples) })

const measureAll = (all: Readonly<Record<string, Subject>>, between: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const taken = new Map(
      Object.keys(all).map((name): [string, Taken] => [
        name,
        { means: [], samples: new Float64Array(rounds * perRound) }
      ])
    )
    // Two rounds compile the code.
    for (let round = -2; round < rounds; round++) {
      if (round % 20 === 0) yield* progress(`profile, round ${round} of ${rounds}`)
      for (const [name, { means, samples }] of taken) {
        const subject = all[name] ?? stringify
        const mean = yield* timeAll(subject, perRound)
        yield* between
        yield* timeEach(subject, samples, round * perRound, (round + 1) * perRound)
        yield* between
        if (round >= 0) means.push(mean)
      }
    }
    return new Map([...taken].map(([name, one]) => [name, figures(one)]))
  })

/** Where the time of `record` goes: each part by itself, and the whole. */
export const profileBench = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const { between, parts, wholes } = yield* subjects(url)
    const measured = yield* measureAll({ ...parts, ...wholes }, between)
    const of = (names: object) => Object.fromEntries([...measured].filter(([name]) => Object.hasOwn(names, name)))
    return { eventBytes, frameBytes, microseconds: { parts: of(parts), wholes: of(wholes) } }
  }).pipe(Effect.scoped)

export type ProfileReport = Effect.Effect.Success<ReturnType<typeof profileBench>>

export const profileTable = ({ frameBytes, microseconds: { parts, wholes } }: ProfileReport): ReadonlyArray<string> => {
  const record = Object.values(wholes)[0]?.mean ?? Number.NaN
  const sum = Object.values(parts).reduce((sum, { mean }) => sum + mean, 0)
  const share = (mean: number) => `${fixed(0)((100 * mean) / record)} %`
  const row = (name: string, { mean, p50, p99, p999 }: Figures) =>
    line(name, [fixed(2)(mean), share(mean), ...[p50, p99, p999].map(fixed(2))])
  return [
    line(`one event of ${frameBytes} bytes, microseconds`, ["in a loop", "share", "p50", "p99", "p99.9"]),
    ...Object.entries(parts).map(([name, figures]) => row(name, figures)),
    line("the rest: fiber, bookkeeping, garbage", [fixed(2)(record - sum), share(record - sum)]),
    "",
    ...Object.entries(wholes).map(([name, figures]) => row(name, figures))
  ]
}
