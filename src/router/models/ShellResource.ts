import type { Shell } from "./Catalog.ts"

/** Other characters than these are encoded, so that `gemma2:27b` reads the same in a policy as elsewhere. */
const plain = /[^A-Za-z0-9:@+_.-]/gu

const percent = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")

/**
 * Encodes a name as one segment of a resource: it has no slash, is never `.` or `..`, and differs for different names. Callers
 * refuse names that are not well-formed Unicode, which have no segment of their own.
 */
export const segmentOf = (name: string): string =>
  name === "" ? "%" : /^\.+$/.test(name) ? name.replaceAll(".", "%2E") : name.replace(plain, percent)

/** The resource of a shell: `shells/<tier>/<model>`, the tier in lower case. */
export const shellResource = ({ name, tier }: Pick<Shell, "name" | "tier">): string =>
  `shells/${tier.toLowerCase()}/${segmentOf(name)}`

/** Each character may become nine, and the resource must fit into `maximumResourceLength`. */
const unknownNameLength = 25

/** The resource of a name that is not a shell's: the gatekeeper authenticates the caller of it before the router answers 404. */
export const unknownShellResource = (name: string): string =>
  `shells/unknown/${segmentOf(name.slice(0, unknownNameLength).toWellFormed())}`

/** The resource of a ghost's messages. */
export const historyResource = (ghost: string): string => `history/${segmentOf(ghost)}`

/** The gatekeeper's bound: a longer resource would be recorded cut. */
export const maximumResourceLength = 255
