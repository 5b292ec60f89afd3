import * as Option from "effect/Option"
import { Target } from "./Plan.ts"

const named = (text: string): Option.Option<{ readonly number: number; readonly slug: string | null }> => {
  const match = /^(\d{1,4})(?:_([a-z0-9_]+))?$/.exec(text)
  return match === null ? Option.none() : Option.some({ number: Number(match[1]), slug: match[2] ?? null })
}

/** `head`, `+N`, or a revision: `2`, `0002`, `0002_add_reason`. */
export const parseUpgrade = (text: string): Option.Option<Target> => {
  if (text === "head") return Option.some(Target.Head())
  const forward = /^\+([1-9]\d{0,3})$/.exec(text)
  if (forward !== null) return Option.some(Target.Forward({ count: Number(forward[1]) }))
  return Option.map(named(text), Target.UpTo)
}

/** `base`, `-N`, or a revision to stop at: it stays applied. */
export const parseDowngrade = (text: string): Option.Option<Target> => {
  if (text === "base") return Option.some(Target.DownTo({ number: 0, slug: null }))
  const back = /^-([1-9]\d{0,3})$/.exec(text)
  if (back !== null) return Option.some(Target.Back({ count: Number(back[1]) }))
  return Option.map(named(text), Target.DownTo)
}
