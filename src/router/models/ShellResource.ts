import type { Shell } from "./Catalog.ts"

/** Left as they are, so that `gemma2:27b` reads in a policy as it does everywhere else. */
const plain = /[^A-Za-z0-9:@+_.-]/gu

const percent = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")

/**
 * One segment of a resource, whatever the name: no slash, never `.` or `..`, and two names never share one. A name that is not
 * well-formed Unicode has no segment of its own; callers refuse those before.
 */
export const segmentOf = (name: string): string =>
  name === "" ? "%" : /^\.+$/.test(name) ? name.replaceAll(".", "%2E") : name.replace(plain, percent)

/** What the policy decides on: `shells/<tier>/<model>`, the tier in lower case. */
export const shellResource = ({ name, tier }: Pick<Shell, "name" | "tier">): string =>
  `shells/${tier.toLowerCase()}/${segmentOf(name)}`

/** Each character may become nine, and the whole has to fit into `maximumResourceLength`. */
const unknownNameLength = 25

/**
 * What the policy is asked for a name that is no shell, so that the caller is known before it is told so. No tier is
 * called `unknown`.
 */
export const unknownShellResource = (name: string): string =>
  `shells/unknown/${segmentOf(name.slice(0, unknownNameLength).toWellFormed())}`

/** What the policy decides on when a ghost's messages are read. */
export const historyResource = (ghost: string): string => `history/${segmentOf(ghost)}`

/** The gatekeeper's bound, so that what was decided is what is recorded. */
export const maximumResourceLength = 255
