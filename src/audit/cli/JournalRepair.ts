import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { attempt, type FileTrouble, nodeFiles } from "../journal/JournalFiles.ts"
import * as Quarantine from "../journal/Quarantine.ts"
import type { SegmentFile } from "../journal/RecoveryScan.ts"
import { recordsIn, segmentsOf } from "./JournalReading.ts"

export interface Repaired {
  /** Damaged spans that were put aside; those that were there before are not counted. */
  readonly putAside: number
  /** Bytes of torn tails that were cut. */
  readonly cutBytes: number
}

interface Span {
  readonly from: number
  readonly to: number
}

const chunk = 256 * 1_024

/** Replaces a file by parts of it, by way of a temporary file: whoever reads it sees the old one or the new one. */
const keepOnly = (path: string, parts: ReadonlyArray<Span>): Effect.Effect<void, FileTrouble> =>
  attempt(path, async () => {
    const temporary = `${path}.part`
    const file = await Fs.open(temporary, "w", 0o600)
    try {
      const bytes = Buffer.allocUnsafe(chunk)
      for (const { from, to } of parts) {
        for (let at = from; at < to; ) {
          const read = await nodeFiles.read(path, bytes, Math.min(chunk, to - at), at)
          if (read === 0) break
          await file.writeFile(bytes.subarray(0, read))
          at += read
        }
      }
      await file.datasync()
    } finally {
      await file.close()
    }
    await Fs.rename(temporary, path)
    await nodeFiles.syncDirectory(Path.dirname(path))
  })

/** What stays of a segment, and what does not. Memory grows with its damage alone. */
const judge = (file: SegmentFile, files: ReadonlyArray<SegmentFile>, header: number) =>
  Stream.runFold(
    recordsIn(file, files, false),
    { kept: [{ from: 0, to: header }] as ReadonlyArray<Span>, corrupt: [] as ReadonlyArray<Span>, tornBytes: 0 },
    (found, one) => {
      const span = { from: one.offset, to: one.offset + one.bytes }
      if (one._tag === "Damage") {
        return one.kind === "torn"
          ? { ...found, tornBytes: found.tornBytes + one.bytes }
          : { ...found, corrupt: [...found.corrupt, span] }
      }
      const last = found.kept.at(-1)
      const goesOn = last !== undefined && last.to === span.from
      const before = goesOn ? found.kept.slice(0, -1) : found.kept
      return { ...found, kept: [...before, goesOn ? { from: last.from, to: span.to } : span] }
    }
  )

/**
 * Puts corrupt spans aside and cuts torn tails; records keep their bytes. The caller holds the journal's lock. A segment whose
 * header is damaged stays as it is: its records are readable still, and would not be without it.
 */
export const repair = (path: string, source: string): Effect.Effect<Repaired, FileTrouble> =>
  Effect.gen(function* () {
    const files = yield* segmentsOf(path)
    const directory = Quarantine.directoryOf(Path.dirname(path), source)
    let putAside = 0
    let cutBytes = 0
    for (const file of files) {
      if (file.header._tag !== "Valid") continue
      const { corrupt, kept, tornBytes } = yield* judge(file, files, file.header.length)
      if (corrupt.length + tornBytes === 0) continue
      for (const span of corrupt) {
        if (yield* Quarantine.keep({ files: nodeFiles, directory, segment: file, ...span })) putAside += 1
      }
      yield* keepOnly(file.path, kept)
      cutBytes += tornBytes
    }
    return { putAside, cutBytes }
  })
