/** Bytes on the disk of all journals of one process: its own and those that it recovers. */
export interface DiskQuota {
  readonly maxBytes: number
  readonly used: () => number
  /** Reserves bytes. Returns false when they would exceed the maximum. */
  readonly take: (bytes: number) => boolean
  /** Reserves bytes in any case: for files that exist, and for what must be written to keep answered events. */
  readonly force: (bytes: number) => void
  readonly give: (bytes: number) => void
}

export const make = (maxBytes: number): DiskQuota => {
  let used = 0
  return {
    maxBytes,
    used: () => used,
    take: (bytes) => {
      if (used + bytes > maxBytes) return false
      used += bytes
      return true
    },
    force: (bytes) => {
      used += bytes
    },
    give: (bytes) => {
      used -= bytes
    }
  }
}
