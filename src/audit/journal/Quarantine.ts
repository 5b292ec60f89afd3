import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import type * as Effect from "effect/Effect"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"
import { attempt, type FileTrouble, type JournalFiles, reasonOf } from "./JournalFiles.ts"
import { nameOf } from "./Segments.ts"

/** Returns the directory for damaged spans of a source's journal, beside the journals. */
export const directoryOf = (journals: string, source: string): string => Path.join(journals, "quarantine", source)

const extension = ".bin"
const chunk = 256 * 1_024

const spanPath = (directory: string, index: number, from: number): string =>
  Path.join(directory, `${nameOf(index).replace(".segment", "")}-${from}${extension}`)

/** Counts the spans of a source that are in the quarantine. */
export const count = (directory: string): Effect.Effect<number, FileTrouble> =>
  attempt(directory, async () => {
    const names = await Fs.readdir(directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return []
      throw cause
    })
    return names.filter((name) => name.endsWith(extension)).length
  })

/** The damaged file could not be read; the quarantine is not the cause. */
class Unread extends Error {}

const readFrom = (files: JournalFiles, ...[path, ...rest]: Parameters<JournalFiles["read"]>): Promise<number> =>
  files.read(path, ...rest).catch((cause: unknown) => {
    throw new Unread(reasonOf(cause))
  })

/** Writes a file through a temporary file, so that it exists completely or not at all. */
const place = async (target: string, fill: (file: Fs.FileHandle) => Promise<void>): Promise<void> => {
  const temporary = `${target}.part`
  // Left by a process that was killed.
  await Fs.rm(temporary, { force: true })
  const file = await Fs.open(temporary, "wx", 0o600)
  try {
    await fill(file)
    await file.datasync()
  } finally {
    await file.close()
  }
  await Fs.rename(temporary, target)
}

/** Consecutive bytes of a file; `to` is excluded. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** Copies spans of a file to `target`, in their order. `target` may be the file itself: a reader sees the old one or the new one. */
export const copySpans = (
  files: JournalFiles,
  path: string,
  spans: ReadonlyArray<Span>,
  target: string
): Promise<void> =>
  place(target, async (file) => {
    const bytes = Buffer.allocUnsafe(chunk)
    for (const { from, to } of spans) {
      for (let at = from; at < to; ) {
        const read = await readFrom(files, path, bytes, Math.min(chunk, to - at), at)
        if (read === 0) break
        // Unlike `write`, it repeats a short write.
        await file.writeFile(bytes.subarray(0, read))
        at += read
      }
    }
  })

const isThere = (path: string): Promise<boolean> =>
  Fs.stat(path).then(
    () => true,
    () => false
  )

/**
 * Makes the file once, so that the number of files is the number of spans, however often a segment is read. Syncs it before the
 * original may be removed.
 */
const once = async (
  files: JournalFiles,
  directory: string,
  target: string,
  make: () => Promise<void>
): Promise<boolean> => {
  try {
    PrivateFile.ensureDirectory(directory)
    const isNew = !(await isThere(target))
    if (isNew) await make()
    const quarantine = Path.dirname(directory)
    // Also for an existing file: the process that made it may have died before this sync.
    for (const entries of [directory, quarantine, Path.dirname(quarantine)]) await files.syncDirectory(entries)
    return isNew
  } catch (cause) {
    throw cause instanceof Unread ? cause : new Error(`the quarantine cannot be written: ${reasonOf(cause)}`)
  }
}

/** The offset of the first byte of a file that is not zero; undefined where there is none. */
const firstByte = async (files: JournalFiles, path: string): Promise<number | undefined> => {
  const bytes = Buffer.allocUnsafe(chunk)
  for (let at = 0; ; at += chunk) {
    const read = await readFrom(files, path, bytes, chunk, at)
    const found = bytes.subarray(0, read).findIndex((byte) => byte !== 0)
    if (found !== -1) return at + found
    if (read < chunk) return undefined
  }
}

/** Copies what another program left of a file that it cut: the bytes after the hole. Returns the copy's path; undefined for no bytes. */
export const keepRest = (options: {
  readonly files: JournalFiles
  readonly directory: string
  readonly segment: { readonly index: number; readonly path: string; readonly size: number }
}): Effect.Effect<string | undefined, FileTrouble> => {
  const { directory, files, segment } = options
  return attempt(segment.path, async () => {
    const from = await firstByte(files, segment.path)
    if (from === undefined) return undefined
    const target = spanPath(directory, segment.index, from)
    const span = { from, to: segment.size }
    await once(files, directory, target, () => copySpans(files, segment.path, [span], target))
    return target
  })
}

/** Copies a damaged span to a file named after its place. Returns false when the file existed already. */
export const keep = (options: {
  readonly files: JournalFiles
  readonly directory: string
  readonly segment: { readonly index: number; readonly path: string }
  readonly from: number
  readonly to: number
}): Effect.Effect<boolean, FileTrouble> => {
  const { directory, files, from, segment, to } = options
  const target = spanPath(directory, segment.index, from)
  return attempt(segment.path, () =>
    once(files, directory, target, () => copySpans(files, segment.path, [{ from, to }], target))
  )
}

/** Copies a checkpoint that cannot be decoded. It does not count as a span. */
export const keepState = (
  files: JournalFiles,
  directory: string,
  path: string
): Effect.Effect<boolean, FileTrouble> => {
  const target = Path.join(directory, "state.damaged")
  return attempt(path, () =>
    once(files, directory, target, async () => {
      const { size } = await Fs.stat(path)
      await copySpans(files, path, [{ from: 0, to: size }], target)
    })
  )
}

/** Copies an intact record that is not an event to a file named after its number. */
export const keepRecord = (
  files: JournalFiles,
  directory: string,
  { json, seq }: { readonly seq: number; readonly json: string }
): Effect.Effect<boolean, FileTrouble> => {
  const target = Path.join(directory, `record-${seq}${extension}`)
  return attempt(target, () => once(files, directory, target, () => place(target, (file) => file.writeFile(json))))
}
