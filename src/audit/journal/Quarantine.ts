import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import type * as Effect from "effect/Effect"
import { attempt, type FileTrouble, type JournalFiles } from "./JournalFiles.ts"
import { nameOf } from "./Segment.ts"

/** Where damaged spans of a source's journal go, beside the journals. */
export const directoryOf = (journals: string, source: string): string => Path.join(journals, "quarantine", source)

const extension = ".bin"
const chunk = 256 * 1_024

/** How many spans of a source were put aside so far. */
export const count = (directory: string): Effect.Effect<number, FileTrouble> =>
  attempt(directory, async () => {
    const names = await Fs.readdir(directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return []
      throw cause
    })
    return names.filter((name) => name.endsWith(extension)).length
  })

/** Writes a file by way of a temporary one, so that its name is there with all of it or not at all. */
const place = async (target: string, fill: (file: Fs.FileHandle) => Promise<void>): Promise<void> => {
  const temporary = `${target}.part`
  const file = await Fs.open(temporary, "w", 0o600)
  try {
    await fill(file)
    await file.datasync()
  } finally {
    await file.close()
  }
  await Fs.rename(temporary, target)
}

const copy = (files: JournalFiles, path: string, from: number, to: number, target: string): Promise<void> =>
  place(target, async (file) => {
    const bytes = Buffer.allocUnsafe(Math.min(chunk, to - from))
    for (let at = from; at < to; ) {
      const read = await files.read(path, bytes, Math.min(bytes.length, to - at), at)
      if (read === 0) break
      await file.write(bytes, 0, read)
      at += read
    }
  })

/** Makes the file once: however often a segment is read, counting files is counting what was put aside. */
const once = async (directory: string, target: string, make: () => Promise<void>): Promise<boolean> => {
  await Fs.mkdir(directory, { recursive: true, mode: 0o700 })
  const isKept = await Fs.stat(target).then(
    () => true,
    () => false
  )
  if (!isKept) await make()
  return !isKept
}

/** Keeps a damaged span in a file whose name says where it was. False when it was kept before. */
export const keep = (options: {
  readonly files: JournalFiles
  readonly directory: string
  readonly segment: { readonly index: number; readonly path: string }
  readonly from: number
  readonly to: number
}): Effect.Effect<boolean, FileTrouble> => {
  const { directory, files, from, segment, to } = options
  const target = Path.join(directory, `${nameOf(segment.index).replace(".segment", "")}-${from}${extension}`)
  return attempt(segment.path, () => once(directory, target, () => copy(files, segment.path, from, to, target)))
}

/** Keeps a record that is whole, and that nobody can make an event of, in a file whose name says its number. */
export const keepRecord = (
  directory: string,
  { json, seq }: { readonly seq: number; readonly json: string }
): Effect.Effect<boolean, FileTrouble> => {
  const target = Path.join(directory, `record-${seq}${extension}`)
  return attempt(target, () => once(directory, target, () => place(target, (file) => file.writeFile(json))))
}
