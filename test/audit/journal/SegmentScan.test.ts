import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Frame from "../../../src/audit/journal/Frame.ts"
import { nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import * as SegmentScan from "../../../src/audit/journal/SegmentScan.ts"
import { jsonOf } from "../../support/JournalFixture.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const seed = 0x1234_5678

const frame = (seq: number, json: string, from = seed): Buffer => {
  const bytes = Buffer.alloc(Frame.frameHead + Buffer.byteLength(json))
  Frame.encode(bytes, 0, seq, json, from)
  return bytes
}

const framesOf = (number: number, bytes?: number): ReadonlyArray<Buffer> =>
  Array.from({ length: number }, (_, place) => frame(place + 1, jsonOf(place + 1, bytes)))

/** Everything that a scan finds in a file of these bytes, and how much was asked of the disk. */
const scan = (bytes: Buffer, options: { readonly max?: number; readonly window?: number } = {}) =>
  Effect.gen(function* () {
    const path = Path.join(yield* temporaryHome, "a.segment")
    yield* Effect.promise(() => Fs.writeFile(path, bytes))
    let asked = 0
    const scanned = SegmentScan.make({
      path,
      files: {
        ...nodeFiles,
        read: (path, target, length, position) => {
          asked += length
          return nodeFiles.read(path, target, length, position)
        }
      },
      seeds: [seed],
      from: 0,
      end: () => bytes.length,
      window: Buffer.alloc(options.window ?? 4 * Frame.maxFrame, 0x1e),
      texts: true
    })
    const found: Array<SegmentScan.Found> = []
    for (;;) {
      const next = yield* scanned.next(options.max ?? 64)
      if (next.length === 0) break
      expect(seqs(next).length).toBeLessThanOrEqual(options.max ?? 64)
      found.push(...next)
    }
    expect(scanned.position()).toBe(bytes.length)
    return { found, asked }
  }).pipe(Effect.scoped)

/** The findings cover the file: each byte is in a frame or in a damaged span, once, and spans do not touch. */
const expectToCover = (found: ReadonlyArray<SegmentScan.Found>, length: number) => {
  let at = 0
  let before = "Frame"
  for (const one of found) {
    const [from, to] = one._tag === "Frame" ? [one.offset, one.offset + one.bytes] : [one.from, one.to]
    expect(from).toBe(at)
    expect(to).toBeGreaterThan(from)
    expect(before === "Damage" && one._tag === "Damage").toBe(false)
    at = to
    before = one._tag
  }
  expect(at).toBe(length)
}

const seqs = (found: ReadonlyArray<SegmentScan.Found>) =>
  found.flatMap((one) => (one._tag === "Frame" ? [one.seq] : []))

describe("a scan", () => {
  it.live("finds all frames with their texts, of any number and size, across the edges of its window", () =>
    Effect.gen(function* () {
      const frames = [
        ...framesOf(300, 5_000),
        frame(301, `"${"é".repeat(Frame.maxPayload / 2 - 1)}"`),
        ...framesOf(3, 10)
      ]
      const { asked, found } = yield* scan(Buffer.concat(frames), { window: Frame.maxFrame + 100 })
      expect(found.map((one) => (one._tag === "Frame" ? one.bytes : -1))).toEqual(frames.map(({ length }) => length))
      expect(found.slice(0, 300).map((one) => (one._tag === "Frame" ? one.json : ""))).toEqual(
        Array.from({ length: 300 }, (_, place) => jsonOf(place + 1, 5_000))
      )
      // Nothing is read twice, but for what is left at a window's end.
      expect(asked).toBeLessThan(2 * Buffer.concat(frames).length)
    })
  )

  it.live("passes over a frame of another segment, and one that was cut out of the middle of another", () =>
    Effect.gen(function* () {
      const [first, second, third] = [frame(1, jsonOf(1)), frame(2, jsonOf(2), seed + 1), frame(3, jsonOf(3))]
      const cut = frame(9, jsonOf(9)).subarray(30)
      const { found } = yield* scan(Buffer.concat([first, second, cut, third]))
      expect(seqs(found)).toEqual([1, 3])
      expectToCover(found, first.length + second.length + cut.length + third.length)
    })
  )

  it.live("finds no frame in a text that looks like one, whatever a client sends", () =>
    Effect.gen(function* () {
      const forged = frame(666, `{"forged":true}`).toString("latin1")
      const frames = [frame(1, JSON.stringify({ text: forged })), frame(2, jsonOf(2))]
      // Its length no longer leads over the text.
      frames[0]?.writeUInt32LE(20, 8)
      const { found } = yield* scan(Buffer.concat(frames))
      expect(seqs(found)).toEqual([2])
    })
  )

  it.live("finds the next frame behind damage of any length, also where a reading cut through its first bytes", () =>
    Effect.gen(function* () {
      const window = Frame.maxFrame
      for (const length of [window - 4, window - 3, window - 2, window - 1, window, 2 * window - 2]) {
        const { found } = yield* scan(Buffer.concat([Buffer.alloc(length, 0x7a), frame(1, jsonOf(1))]), { window })
        expect(found.map((one) => (one._tag === "Frame" ? one.seq : one.to))).toEqual([length, 1])
      }
    })
  )

  it.live("ends with a torn tail where the last frame is cut at any byte, and with zeros", () =>
    Effect.gen(function* () {
      const bytes = Buffer.concat(framesOf(3, 20))
      const last = frame(3, jsonOf(3, 20)).length
      for (let cut = 1; cut < last; cut += 7) {
        const { found } = yield* scan(bytes.subarray(0, bytes.length - cut))
        expect(seqs(found)).toEqual([1, 2])
        expect(found.at(-1)).toEqual({ _tag: "Damage", from: bytes.length - last, to: bytes.length - cut })
      }
      const { found } = yield* scan(Buffer.concat([bytes, Buffer.alloc(4_096)]))
      expect(seqs(found)).toEqual([1, 2, 3])
      expect(found.at(-1)).toEqual({ _tag: "Damage", from: bytes.length, to: bytes.length + 4_096 })
    })
  )

  it.live("tells where a file ends too soon", () =>
    Effect.gen(function* () {
      const path = Path.join(yield* temporaryHome, "short.segment")
      const bytes = Buffer.concat(framesOf(2))
      yield* Effect.promise(() => Fs.writeFile(path, bytes))
      const options = { path, files: nodeFiles, seeds: [seed], from: 0, window: SegmentScan.makeWindow(), texts: false }
      const found = yield* SegmentScan.make({ ...options, end: () => bytes.length + 500 }).next(10)
      expect(seqs(found)).toEqual([1, 2])
      expect(found.at(-1)).toEqual({ _tag: "Damage", from: bytes.length, to: bytes.length + 500 })
    }).pipe(Effect.scoped)
  )

  it.live("takes time in proportion to the bytes where one false start follows the other", () =>
    Effect.gen(function* () {
      const start = Buffer.alloc(Frame.frameHead)
      Frame.magic.copy(start)
      start.writeUInt32LE(Frame.maxPayload, 8)
      const starts = Buffer.concat([...Array.from({ length: 60_000 }, () => start), frame(1, jsonOf(1))])
      const before = performance.now()
      const { found } = yield* scan(starts)
      expect(seqs(found)).toEqual([1])
      // Each of them checked over its length would be 15 GB.
      expect(performance.now() - before).toBeLessThan(3_000)
    })
  )
})

const mutation = FastCheck.oneof(
  { weight: 4, arbitrary: FastCheck.record({ flip: FastCheck.nat(), bit: FastCheck.nat({ max: 7 }) }) },
  FastCheck.record({ cut: FastCheck.nat(), length: FastCheck.nat({ max: 300 }) }),
  FastCheck.record({ insert: FastCheck.nat(), bytes: FastCheck.uint8Array({ maxLength: 60 }) }),
  FastCheck.record({ insert: FastCheck.nat(), bytes: FastCheck.constant(new Uint8Array(Frame.magic)) }),
  FastCheck.record({ length: FastCheck.nat({ max: 11 }), value: FastCheck.nat({ max: 0xffff_ffff }) })
)
type Mutation = typeof mutation extends FastCheck.Arbitrary<infer A> ? A : never

const mutate = (bytes: Buffer, one: Mutation, offsets: ReadonlyArray<number>): Buffer => {
  if ("flip" in one) {
    const at = one.flip % bytes.length
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << one.bit), at)
    return bytes
  }
  if ("cut" in one) {
    const at = one.cut % bytes.length
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + one.length)])
  }
  if ("insert" in one) {
    const at = one.insert % bytes.length
    return Buffer.concat([bytes.subarray(0, at), one.bytes, bytes.subarray(at)])
  }
  const at = (offsets[one.length] ?? 0) + 8
  if (at + 4 <= bytes.length) bytes.writeUInt32LE(one.value, at)
  return bytes
}

describe("whatever a file holds", () => {
  it.live.prop(
    "frames that are found are frames that were written, in order, and each byte is accounted for",
    {
      number: FastCheck.integer({ min: 1, max: 12 }),
      mutations: FastCheck.array(mutation, { maxLength: 6 }),
      max: FastCheck.integer({ min: 1, max: 20 })
    },
    ({ max, mutations, number }) =>
      Effect.gen(function* () {
        const frames = framesOf(number, 40)
        const offsets = frames.map((_, place) => Buffer.concat(frames.slice(0, place)).length)
        let bytes = Buffer.concat(frames)
        for (const one of mutations) if (bytes.length > 0) bytes = Buffer.from(mutate(bytes, one, offsets))
        const { found } = yield* scan(bytes, { max, window: Frame.maxFrame })
        expectToCover(found, bytes.length)
        for (const one of found) {
          if (one._tag === "Frame") expect(one.json).toBe(jsonOf(one.seq, 40))
        }
        expect(seqs(found)).toEqual(seqs(found).toSorted((a, b) => a - b))
        // A change spoils the frame that it is in, and both at the edge of two.
        expect(seqs(found).length).toBeGreaterThanOrEqual(number - damageOf(mutations, frames[0]?.length ?? 1))
      }),
    { fastCheck: { numRuns: 150 } }
  )

  it.live.prop(
    "noise holds no frame",
    { noise: FastCheck.uint8Array({ maxLength: 3_000, size: "max" }) },
    ({ noise }) =>
      Effect.gen(function* () {
        const { found } = yield* scan(Buffer.from(noise), { window: Frame.maxFrame })
        expectToCover(found, noise.length)
        expect(seqs(found)).toEqual([])
      }),
    { fastCheck: { numRuns: 50 } }
  )
})

const damageOf = (mutations: ReadonlyArray<Mutation>, frameLength: number): number =>
  mutations.reduce(
    (sum, one) => sum + ("cut" in one ? Math.ceil(one.length / frameLength) + 1 : "value" in one ? 2 : 1),
    0
  )
