import * as Path from "node:path"
import { type JournalFiles, nodeFiles } from "../../src/audit/journal/JournalFiles.ts"

/** How often the next operations of each kind fail. */
export interface Faults {
  /** Nothing of an event is written, and the disk says why. */
  ENOSPC: number
  EIO: number
  /** Half of an event is written, without an error; the rest follows when it is asked for. */
  short: number
  /** Half of an event is written, and then the disk is full. */
  cutShort: number
  truncate: number
  create: number
  rename: number
  fdatasync: number
  syncDirectory: number
  read: number
  unlink: number
  /** Writes of the file `state`. */
  state: number
}

const none: Faults = {
  ENOSPC: 0,
  EIO: 0,
  short: 0,
  cutShort: 0,
  truncate: 0,
  create: 0,
  rename: 0,
  fdatasync: 0,
  syncDirectory: 0,
  read: 0,
  unlink: 0,
  state: 0
}

export const failure = (code: string, path = "file"): Error => Object.assign(new Error(`${code}: ${path}`), { code })

/** The real disk, but for the faults that it is told. */
export const faultyDisk = () => {
  const faults: Faults = { ...none }
  const happened: Faults = { ...none }
  const stateFiles = new Set<number>()

  const strikes = (kind: keyof Faults): boolean => {
    if (faults[kind] === 0) return false
    faults[kind] -= 1
    happened[kind] += 1
    return true
  }
  const mayFail = (kind: keyof Faults, code = "EIO") => {
    if (strikes(kind)) throw failure(code, kind)
  }

  const files: JournalFiles = {
    ...nodeFiles,
    create: (path) => {
      const isState = Path.basename(path) === "state"
      if (!isState) mayFail("create")
      const fd = nodeFiles.create(path)
      if (isState) stateFiles.add(fd)
      else stateFiles.delete(fd)
      return fd
    },
    write: (fd, bytes, offset, length, position) => {
      if (stateFiles.has(fd)) mayFail("state")
      else {
        mayFail("ENOSPC", "ENOSPC")
        mayFail("EIO")
        const isCut = strikes("cutShort")
        if (isCut) faults.ENOSPC += 1
        if (isCut || strikes("short")) return nodeFiles.write(fd, bytes, offset, Math.ceil(length / 2), position)
      }
      return nodeFiles.write(fd, bytes, offset, length, position)
    },
    truncate: (fd, length) => {
      mayFail("truncate")
      nodeFiles.truncate(fd, length)
    },
    rename: (from, to) => {
      mayFail("rename")
      nodeFiles.rename(from, to)
    },
    unlink: (path) => {
      mayFail("unlink")
      nodeFiles.unlink(path)
    },
    fdatasync: async (fd) => {
      mayFail("fdatasync")
      await nodeFiles.fdatasync(fd)
    },
    syncDirectory: async (path) => {
      mayFail("syncDirectory")
      await nodeFiles.syncDirectory(path)
    },
    read: async (path, bytes, length, position) => {
      mayFail("read")
      return await nodeFiles.read(path, bytes, length, position)
    }
  }
  return {
    files,
    faults,
    happened,
    heal: () => Object.assign(faults, none),
    isWell: () => Object.values(faults).every((times) => times === 0)
  }
}
export type FaultyDisk = ReturnType<typeof faultyDisk>
