import { entryLength, type LeafEntry } from "./verify/LeafEntry.ts"

/** Decodes an entry; undefined when its length or its format is wrong. */
export const decodeEntry = (entry: Uint8Array): LeafEntry | undefined => {
  const format = entry[0]
  if (entry.length !== entryLength || format === undefined || format === 0) return undefined
  const hex = Buffer.from(entry).toString("hex", 1)
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-")
  return { format, id, digest: hex.slice(32) }
}
