import * as Path from "node:path"
import type { JournalFiles } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import { makeSlot, type StateValues, slotBytes, stateBytes } from "./JournalState.ts"
import { discard, writeAll } from "./NewSegment.ts"

/** The open file `state` of a journal. */
export interface StateFile {
  /** Overwrites the older slot. False when that failed: the values of the time before stand. */
  readonly write: (values: StateValues) => boolean
  readonly sync: () => Promise<void>
  /** Harmless when repeated. */
  readonly close: () => void
}

export const stateName = "state"

const initial: StateValues = { lastSeq: 0, refused: 0, shed: 0, acknowledged: 0, ended: false }

/** Makes the file, or opens that of a dead incarnation, whose last `generation` is given. Throws. */
export const open = (options: {
  readonly files: JournalFiles
  readonly directory: string
  readonly identity: JournalIdentity
  readonly generation: number | undefined
}): StateFile => {
  const { directory, files, generation, identity } = options
  const path = Path.join(directory, stateName)
  const slot = makeSlot(identity)
  const fd = generation === undefined ? files.create(path) : files.open(path)
  let isOpen = true

  const write = (values: StateValues) => {
    const { bytes, position } = slot.next(values)
    writeAll(files, fd, bytes, 0, bytes.length, position)
  }

  if (generation === undefined) {
    try {
      // The whole file at once: what is written later finds its space taken already.
      writeAll(files, fd, Buffer.alloc(stateBytes - slotBytes), 0, slotBytes, 0)
      write(initial)
    } catch (cause) {
      discard(files, fd, path)
      throw cause
    }
  } else slot.startAfter(generation)

  return {
    write: (values) => {
      if (!isOpen) return false
      try {
        write(values)
        return true
      } catch {
        return false
      }
    },
    sync: () => files.fdatasync(fd),
    close: () => {
      if (!isOpen) return
      isOpen = false
      try {
        files.close(fd)
      } catch {
        // The descriptor is gone in any case.
      }
    }
  }
}
