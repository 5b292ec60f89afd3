import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeUnsyncedFrames } from "../../../src/audit/journal/Frame.ts"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import * as JournalSync from "../../../src/audit/journal/JournalSync.ts"
import * as Segments from "../../../src/audit/journal/Segments.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import * as SegmentWriter from "../../../src/audit/journal/SegmentWriter.ts"
import { identityOf, jsonOf } from "../../support/JournalFixture.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

/** A writer of which one event waits for a disk that hangs until it is healed. */
const hanging = Effect.gen(function* () {
  const path = yield* temporaryHome
  let heal = () => {}
  const healed = new Promise<void>((resolve) => (heal = resolve))
  const files: JournalFiles = {
    ...nodeFiles,
    fdatasync: (fd) => healed.then(() => nodeFiles.fdatasync(fd))
  }
  const quota = makeDiskQuota(2 ** 20)
  const segments = Segments.make({ files, quota })
  const unsynced = makeUnsyncedFrames(2 ** 20)
  const identity = identityOf(crypto.randomUUID())
  const writer = SegmentWriter.make({ path, identity, files, quota, segmentBytes: 2 ** 18, segments, unsynced })
  expect(writer.append(1, jsonOf(1))).toBeUndefined()
  const through = JournalSync.make({ path, files, writer, unsynced })
  return { heal, through, append: (seq: number) => expect(writer.append(seq, jsonOf(seq))).toBeUndefined() }
})

const inTime = <A>(promise: () => Promise<A>) => Effect.promise(promise).pipe(Effect.timeout("20 seconds"))

it.scopedLive("who gave up waiting for a disk that hung holds up nothing once it answers", () =>
  Effect.gen(function* () {
    const { append, heal, through } = yield* hanging
    const first = through.sync()
    const patience = new AbortController()
    void through.hold(patience.signal)
    patience.abort()
    append(2)
    heal()
    expect(yield* inTime(() => first)).toBeUndefined()
    expect(yield* inTime(through.sync)).toBeUndefined()
    expect(through.isDue()).toBe(false)
  })
)

it.scopedLive("who gave up in the moment that it was his turn holds up nothing", () =>
  Effect.gen(function* () {
    const { heal, through } = yield* hanging
    heal()
    const patience = new AbortController()
    yield* inTime(() => through.hold(patience.signal))
    const later = through.sync()
    patience.abort()
    expect(yield* inTime(() => later)).toBeUndefined()
    expect(through.isDue()).toBe(false)
  })
)

it.scopedLive("no sync runs while it is held", () =>
  Effect.gen(function* () {
    const { heal, through } = yield* hanging
    heal()
    const release = yield* inTime(() => through.hold(new AbortController().signal))
    const later = through.sync()
    yield* Effect.sleep("50 millis")
    expect(through.isDue()).toBe(true)
    release()
    expect(yield* inTime(() => later)).toBeUndefined()
    expect(through.isDue()).toBe(false)
  })
)
