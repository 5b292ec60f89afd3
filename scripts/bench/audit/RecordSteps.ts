import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32c } from "@node-rs/crc32"
import * as Effect from "effect/Effect"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { canonicalJson, draftRow, sealRow } from "../../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import * as Frame from "../../../src/audit/journal/Frame.ts"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { event } from "../../../test/support/BenchEvents.ts"

/** What `record` does with an event, in its order. */
export const steps = [
  "the clock and the id (UUIDv7)",
  "bounds, and the metadata's canonical JSON",
  "the row and its canonical JSON",
  "its bytes in a frame",
  "CRC32C",
  "writeSync of the frame",
  "SHA-256, hexadecimal",
  "into the buffer"
] as const

export interface RecordSteps {
  /** Does with an event what `record` does, by hand, up to the step of this number, counted from 1. */
  readonly upTo: (last: number) => () => unknown
  /** Lets go of what is in the buffer. */
  readonly clear: Effect.Effect<void>
}

const frameFile = (home: string) =>
  Effect.acquireRelease(
    Effect.sync(() => Fs.openSync(Path.join(home, "frames"), "wx+", 0o600)),
    (fd) => Effect.sync(() => Fs.closeSync(fd))
  )

/** From the length on; the checksum and the magic are before it. */
const checked = 8
const seed = 1

export const recordSteps = (home: string) =>
  Effect.gen(function* () {
    const fd = yield* frameFile(home)
    const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes))
    const source = Crypto.randomUUID()
    const frame = Buffer.alloc(Frame.maxFrame)
    const makeBuffer = WriteQueue.make({ capacity: 65_536, batchSize: 1_000, linger: "20 millis" })
    let buffer = yield* makeBuffer
    let position = 0
    let seq = 0

    const doUpTo = (last: number): unknown => {
      const timestamp = Date.now()
      const id = nextId(timestamp)
      if (last === 1) return id
      const encoded = encodeEvent(event)
      if (last === 2) return encoded
      seq += 1
      const draft = draftRow(encoded, { id, timestamp, source, seq })
      const json = canonicalJson(draft)
      if (last === 3) return json
      const length = Frame.frameHead + frame.write(json, Frame.frameHead)
      if (last === 4) return length
      const checksum = crc32c(frame.subarray(checked, length), seed)
      if (last === 5) return checksum
      position += Fs.writeSync(fd, frame, 0, length, position)
      if (last === 6) return position
      const row = sealRow(draft, json)
      if (last === 7) return row
      return buffer.offer(row)
    }

    const made: RecordSteps = {
      upTo: (last) => () => doUpTo(last),
      clear: Effect.map(makeBuffer, (fresh) => {
        buffer = fresh
      })
    }
    return made
  })
