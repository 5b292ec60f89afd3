/** Bytes that the journals of one process take on the disk: its own and those it has taken over. */
export interface DiskQuota {
  readonly maxBytes: number
  readonly used: () => number
  /** Takes so many bytes, or returns false when they would pass the maximum. */
  readonly take: (bytes: number) => boolean
  /** Takes them in any case: for what is on the disk already, and for what must be written to keep what was answered. */
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
