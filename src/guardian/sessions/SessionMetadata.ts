import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { originMembers } from "../../domain/AuditEvent.ts"
import { isSecretName } from "../../domain/Secrets.ts"
import { storable } from "../../domain/Text.ts"

export interface KeptMetadata {
  readonly metadata: Readonly<Record<string, unknown>>
  /** Paths of what was left out: messages to a model, what may be one, and secrets. At most `maximumNamed`. */
  readonly dropped: ReadonlyArray<string>
}

/** Levels of objects and lists, the metadata itself counted. */
export const maximumDepth = 8
/** Keys and list elements together. */
export const maximumMembers = 200
/** Of the stored JSON. */
export const maximumBytes = 8 * 1024
/** Characters of one text: a label has fewer, a message more. */
const maximumText = 256
const maximumKey = 100
const maximumNamed = 20

/** The key under which the dropped paths are stored. */
const droppedKey = "dropped"

/** Compared without case, digits and separators: `system_prompt`, `User-Prompt2` and `inputMessages` are all meant. */
const messageWords =
  /^(messages?|prompts?|contents?|inputs?|outputs?|completions?|responses?|answers?|questions?|query|queries|texts?|bodies|body|instructions?|conversation|transcript|history|chat|choices|delta)$|(prompts?|messages?|contents?|completions?|instructions?|transcript)$/

const isMessageOrSecret = (key: string): boolean =>
  isSecretName(key) || messageWords.test(key.toLowerCase().replace(/[^a-z]/g, ""))

/** Only the program writes these. */
const reserved: ReadonlySet<string> = new Set([...originMembers, droppedKey])

/** Names a long key by its length only: a client may send a message as a key too. */
const nameOf = (key: string): string => (key.length > maximumKey ? `(${key.length} characters)` : key)

class TooMuch extends Error {}

/**
 * Bounds the metadata of a session, and leaves out what may hold a prompt or a secret: members whose key names one, at any depth,
 * and long texts under any key. Also left out is what only the program may say. Too many members, levels or bytes are refused and not cut: half of an object says something else.
 * Left: why they are refused.
 */
export const boundMetadata = (given: unknown): Either.Either<KeptMetadata, string> => {
  const dropped: Array<string> = []
  let members = 0
  const drop = (path: ReadonlyArray<string>) => {
    if (dropped.length < maximumNamed) dropped.push(storable(path.map(nameOf).join(".")))
    return undefined
  }
  const keep = (value: unknown, path: ReadonlyArray<string>): unknown => {
    members += 1
    if (members > maximumMembers) throw new TooMuch(`"metadata" has more than ${maximumMembers} members`)
    if (typeof value === "string") return value.length > maximumText ? drop(path) : storable(value)
    if (typeof value !== "object" || value === null) return value
    if (path.length >= maximumDepth) throw new TooMuch(`"metadata" is nested deeper than ${maximumDepth} levels`)
    if (Array.isArray(value)) {
      return value.map((one, index) => keep(one, [...path, String(index)])).filter((one) => one !== undefined)
    }
    return keepMembers(Object.entries(value), path)
  }
  const keepMembers = (entries: ReadonlyArray<readonly [string, unknown]>, path: ReadonlyArray<string>) =>
    Object.fromEntries(
      entries.flatMap(([key, value]) => {
        const kept =
          isMessageOrSecret(key) || key.length > maximumKey || (path.length === 0 && reserved.has(key))
            ? drop([...path, key])
            : keep(value, [...path, key])
        return kept === undefined ? [] : [[storable(key), kept] as const]
      })
    )
  if (given === undefined || given === null) return Either.right({ metadata: {}, dropped })
  if (!Predicate.isReadonlyRecord(given)) return Either.left('"metadata" must be an object')
  return Either.try({
    try: () => keepMembers(Object.entries(given), []),
    catch: (thrown) => (thrown instanceof TooMuch ? thrown.message : '"metadata" cannot be read')
  }).pipe(
    Either.map((kept) => (dropped.length === 0 ? kept : { ...kept, [droppedKey]: dropped })),
    Either.filterOrLeft(
      (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= maximumBytes,
      () => `"metadata" is larger than ${maximumBytes} bytes`
    ),
    Either.map((metadata) => ({ metadata, dropped }))
  )
}
