import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { originMembers, type RecorderMark } from "../../domain/AuditEvent.ts"
import { inexactLiterals } from "../../domain/JsonText.ts"
import { isSecretName } from "../../domain/Secrets.ts"
import { codePoints, isLongerThan, storable } from "../../domain/Text.ts"

export interface KeptMetadata {
  readonly metadata: Readonly<Record<string, unknown>>
  /** Paths of what was left out: messages to a model, what may be one, and secrets. At most `maximumNamed`. */
  readonly dropped: ReadonlyArray<string>
  /** Of the row that records the session's start; absent where it has none. */
  readonly marks?: ReadonlyArray<RecorderMark>
}

/** Levels of objects and lists, the metadata itself counted. */
export const maximumDepth = 8
/** Keys and list elements together. */
export const maximumMembers = 200
/** Of the stored JSON. */
export const maximumBytes = 8 * 1024
/** Code points of one text: a label has fewer, a message more. */
const maximumText = 256
const maximumKey = 100
const maximumNamed = 20

/** The key under which the dropped paths are stored. */
const droppedKey = "dropped"

/** The key under which the paths of numbers are stored that a double does not hold. They are kept as texts. */
const textKey = "number-as-text"

/** Compared without case, digits and separators: `system_prompt`, `User-Prompt2` and `inputMessages` are all meant. */
const messageWords =
  /^(messages?|prompts?|contents?|inputs?|outputs?|completions?|responses?|answers?|questions?|query|queries|texts?|bodies|body|instructions?|conversation|transcript|history|chat|choices|delta)$|(prompts?|messages?|contents?|completions?|instructions?|transcript)$/

const isMessageOrSecret = (key: string): boolean =>
  isSecretName(key) || messageWords.test(key.toLowerCase().replace(/[^a-z]/g, ""))

const numberMark: ReadonlyArray<RecorderMark> = ["metadata:number-as-text"]

/** Only the program writes these. */
const reserved: ReadonlySet<string> = new Set([...originMembers, droppedKey, textKey])

/** Names a long key by its length only: a client may send a message as a key too. */
const nameOf = (key: string): string => (isLongerThan(key, maximumKey) ? `(${codePoints(key)} characters)` : key)

class TooMuch extends Error {}

/**
 * Bounds the metadata of a session, keeps numbers that a double does not hold as texts, and leaves out what may hold a prompt or a secret: members whose key names one, at any depth,
 * and long texts under any key. Also left out is what only the program may say. Too many members, levels or bytes are refused and not cut: half of an object says something else.
 * Left: why they are refused.
 */
export const boundMetadata = (given: unknown): Either.Either<KeptMetadata, string> => {
  const dropped: Array<string> = []
  const asText: Array<string> = []
  let members = 0
  const name = (path: ReadonlyArray<string>, names: Array<string>) => {
    if (names.length < maximumNamed) names.push(storable(path.map(nameOf).join(".")))
  }
  const drop = (path: ReadonlyArray<string>) => void name(path, dropped)
  const keep = (value: unknown, path: ReadonlyArray<string>, literal?: string): unknown => {
    members += 1
    if (members > maximumMembers) throw new TooMuch(`"metadata" has more than ${maximumMembers} members`)
    const text = literal ?? value
    if (typeof text === "string") {
      if (isLongerThan(text, maximumText)) return drop(path)
      if (literal !== undefined) name(path, asText)
      return storable(text)
    }
    if (typeof value !== "object" || value === null) return value
    if (path.length >= maximumDepth) throw new TooMuch(`"metadata" is nested deeper than ${maximumDepth} levels`)
    if (Array.isArray(value)) {
      const literals = inexactLiterals(value)
      return value
        .map((one, index) => keep(one, [...path, String(index)], literals?.get(String(index))))
        .filter((one) => one !== undefined)
    }
    return keepMembers(value, path)
  }
  const keepMembers = (holder: object, path: ReadonlyArray<string>) => {
    const literals = inexactLiterals(holder)
    return Object.fromEntries(
      Object.entries(holder).flatMap(([key, value]) => {
        const kept =
          isMessageOrSecret(key) || isLongerThan(key, maximumKey) || (path.length === 0 && reserved.has(key))
            ? drop([...path, key])
            : keep(value, [...path, key], literals?.get(key))
        return kept === undefined ? [] : [[storable(key), kept] as const]
      })
    )
  }
  if (given === undefined || given === null) return Either.right({ metadata: {}, dropped })
  if (!Predicate.isReadonlyRecord(given)) return Either.left('"metadata" must be an object')
  return Either.try({
    try: () => keepMembers(given, []),
    catch: (thrown) => (thrown instanceof TooMuch ? thrown.message : '"metadata" cannot be read')
  }).pipe(
    Either.map((kept) => ({
      ...kept,
      ...(dropped.length === 0 ? {} : { [droppedKey]: dropped }),
      ...(asText.length === 0 ? {} : { [textKey]: asText })
    })),
    Either.filterOrLeft(
      (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= maximumBytes,
      () => `"metadata" is larger than ${maximumBytes} bytes`
    ),
    Either.map((metadata) => ({ metadata, dropped, ...(asText.length === 0 ? {} : { marks: numberMark }) }))
  )
}
