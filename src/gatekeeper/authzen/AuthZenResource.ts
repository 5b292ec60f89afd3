import * as Either from "effect/Either"

/** Stands for a property that the policy asks for and the resource does not have. */
const absent = "-"

const segmentOf = (value: unknown): string | undefined => {
  if (value === undefined || value === null) return absent
  const text = typeof value === "number" || typeof value === "boolean" ? String(value) : value
  return typeof text === "string" && text !== "" && !text.includes("/") ? text : undefined
}

/**
 * The path that the policy knows an AuthZEN resource by: `<type>/<id>`, so that `shells` and `l1/gemma2` are `shells/l1/gemma2`.
 *
 * Where the policy's `resource_paths` names properties for the type, their values come between: with `todo: [ownerID]` a todo of
 * Morty's is `todo/morty@the-citadel.com/<id>`, and a rule for what is his is a rule about a path. A value can add no segments.
 */
export const resourcePath = (
  type: string,
  id: string,
  properties: Readonly<Record<string, unknown>>,
  named: ReadonlyArray<string>
): Either.Either<string, string> => {
  if (type.includes("/")) return Either.left('"resource.type" must not contain "/"')
  const segments: Array<string> = []
  for (const name of named) {
    const segment = segmentOf(Object.hasOwn(properties, name) ? properties[name] : undefined)
    if (segment === undefined) {
      return Either.left(`"resource.properties.${name}" must be a text without "/" that is not empty, or a number`)
    }
    segments.push(segment)
  }
  return Either.right([type, ...segments, id].join("/"))
}
