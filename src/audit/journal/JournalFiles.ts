import * as Fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"

/** A file operation failed. */
export class FileTrouble extends Schema.TaggedError<FileTrouble>()("FileTrouble", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.reason} (${this.path})`
  }
}

export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** An asynchronous file operation as an effect. */
export const attempt = <A>(path: string, body: () => Promise<A>): Effect.Effect<A, FileTrouble> =>
  Effect.tryPromise({ try: body, catch: (cause) => new FileTrouble({ path, reason: reasonOf(cause) }) })

/**
 * The file operations of a journal; tests replace them by a failing disk. The synchronous operations are those of the
 * recording path. All fail with Node's errors (`code`, `path`).
 */
export interface JournalFiles {
  /** Opens a new file for reading and writing; fails when it exists. */
  readonly create: (path: string) => number
  /** Opens an existing file for reading and writing; fails when another account may write to it. */
  readonly open: (path: string) => number
  /** Returns how many bytes were written, which may be fewer than requested. */
  readonly write: (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => number
  readonly truncate: (fd: number, length: number) => void
  /** Reads from `position` at once; returns how many bytes the file has there, at most as many as `bytes` holds. */
  readonly peek: (fd: number, bytes: Uint8Array, position: number) => number
  readonly close: (fd: number) => void
  readonly unlink: (path: string) => void
  readonly rename: (from: string, to: string) => void
  /** Syncs a file's data to the disk, outside the event loop. */
  readonly fdatasync: (fd: number) => Promise<void>
  /** Syncs a directory's entries to the disk. */
  readonly syncDirectory: (path: string) => Promise<void>
  /** Reads up to `length` bytes from `position`; fewer only at the end of the file. */
  readonly read: (path: string, bytes: Uint8Array, length: number, position: number) => Promise<number>
  /** Returns device and inode, which tell a file from a later one at the same path; undefined where none exists. */
  readonly identify: (path: string) => Promise<string | undefined>
}

const identify = (path: string): Promise<string | undefined> =>
  Fs.promises.stat(path, { bigint: true }).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return undefined
      throw cause
    }
  )

const readFully = async (path: string, bytes: Uint8Array, length: number, position: number): Promise<number> => {
  const file = await Fs.promises.open(path, Fs.constants.O_RDONLY | PrivateFile.guarded)
  try {
    let read = 0
    while (read < length) {
      const { bytesRead } = await file.read(bytes, read, length - read, position + read)
      if (bytesRead === 0) break
      read += bytesRead
    }
    return read
  } finally {
    await file.close()
  }
}

export const nodeFiles: JournalFiles = {
  create: (path) => Fs.openSync(path, "wx+", 0o600),
  open: (path) => PrivateFile.open(path, Fs.constants.O_RDWR, 0o022),
  write: (fd, bytes, offset, length, position) => Fs.writeSync(fd, bytes, offset, length, position),
  truncate: (fd, length) => Fs.ftruncateSync(fd, length),
  peek: (fd, bytes, position) => Fs.readSync(fd, bytes, 0, bytes.length, position),
  close: (fd) => Fs.closeSync(fd),
  unlink: (path) => Fs.unlinkSync(path),
  rename: (from, to) => Fs.renameSync(from, to),
  fdatasync: (fd) =>
    new Promise((resolve, reject) => {
      Fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(error)))
    }),
  syncDirectory: async (path) => {
    // Windows cannot open directories, and syncs their entries itself.
    if (process.platform === "win32") return
    const directory = await Fs.promises.open(path, "r")
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
  read: readFully,
  identify
}
