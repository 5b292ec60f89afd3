import * as ConfigProvider from "effect/ConfigProvider"
import * as PathPatch from "effect/ConfigProviderPathPatch"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import { type Declaration, declarationOf, readSettings } from "./Sources.ts"

/** Returns the declarations of all settings, in the order in which the program asks for them. */
export const declarations: Effect.Effect<ReadonlyArray<Declaration>, unknown> = Effect.suspend(() => {
  const found = new Map<string, Declaration>()
  const recording = ConfigProvider.fromFlat(
    ConfigProvider.makeFlat({
      // Nothing is set, so every setting is asked for and takes its default.
      load: (_path, primitive) => {
        const declaration = declarationOf(primitive)
        if (declaration !== undefined) found.set(declaration.name, declaration)
        return Effect.succeed([])
      },
      enumerateChildren: () => Effect.succeed(HashSet.empty<string>()),
      patch: PathPatch.empty
    })
  )
  return Effect.map(Effect.withConfigProvider(readSettings, recording), () => [...found.values()])
})

const isEmptyObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0 && !Duration.isDuration(value)

/** Returns the default as it would be set; undefined where there is no fixed default, or an empty one. */
export const defaultText = ({ fallback, parse, shape }: Declaration): string | undefined => {
  if (fallback === undefined || isEmptyObject(fallback)) return undefined
  if (typeof fallback === "string") return fallback
  // The example often is the default, in the unit that people write.
  if (Option.exists(parse(shape.example), (value) => Equal.equals(value, fallback))) return shape.example
  if (!Duration.isDuration(fallback)) return String(fallback)
  return Duration.equals(fallback, Duration.zero) ? "0s" : Duration.format(fallback)
}
