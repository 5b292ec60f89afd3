import * as Effect from "effect/Effect"
import { yieldNow } from "../os/EventLoop.ts"

/** Loaded when names are compared: its table has 100 KB. */
const confusables = Effect.promise(() => import("unhomoglyph"))

/** Some milliseconds of work. */
const namesInTurn = 256

/**
 * Finds names that a reader may take for each other: groups of distinct names with the same skeleton (UTS 39, section 4), in the order
 * of the names. They are marked, not refused: two names of a fleet may look alike by chance, such as `agent-1` and `agent-l`.
 */
export const lookAlikes = (names: Iterable<string>): Effect.Effect<ReadonlyArray<ReadonlyArray<string>>> =>
  Effect.gen(function* () {
    const { default: unhomoglyph } = yield* confusables
    const groups = new Map<string, Set<string>>()
    for (const [index, name] of [...names].entries()) {
      if (index % namesInTurn === namesInTurn - 1) yield* yieldNow
      const skeleton = unhomoglyph(name.normalize("NFD")).normalize("NFD")
      groups.set(skeleton, (groups.get(skeleton) ?? new Set<string>()).add(name))
    }
    return Array.from(groups.values(), (group) => [...group]).filter((group) => group.length > 1)
  })

/** The other names of `name`'s group. */
export const likeName = (groups: ReadonlyArray<ReadonlyArray<string>>, name: string): ReadonlyArray<string> =>
  (groups.find((group) => group.includes(name)) ?? []).filter((other) => other !== name)

const beyondAscii = /[^\x20-\x7e]/gu

/** A name that shows each character which only looks like an ASCII one: `"\u{405}cout"`. */
export const distinctly = (name: string): string =>
  `"${name.replaceAll(beyondAscii, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)}"`

/** `"Scout", "\u{405}cout"; "agent-1", "agent-l"`. */
export const lookAlikesText = (groups: ReadonlyArray<ReadonlyArray<string>>): string =>
  groups.map((group) => group.map(distinctly).join(", ")).join("; ")
