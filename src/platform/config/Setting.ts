import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/** The shape of a setting's value, as a refusal and docs/configuration.md describe it. */
export interface Shape {
  /** Completes "expected …". */
  readonly expected: string
  readonly example: string
  /** Secrets are never repeated in a refusal. */
  readonly secret?: boolean
}

const refusal = (name: string, shape: Shape, got: string, why?: string): ConfigError.ConfigError =>
  ConfigError.InvalidData(
    [name],
    `${shape.secret === true ? "" : `got ${JSON.stringify(got)}; `}expected ${shape.expected}${
      why === undefined ? "" : ` (${why})`
    }; for example ${name}=${shape.example}`
  )

/** How a setting was declared. `scripts/docs` reads it to write docs/configuration.md and `.env.example`. */
export interface Declaration {
  readonly name: string
  readonly shape: Shape
  /** The value when the variable is not set; undefined where the setting has no fixed one. */
  readonly fallback: unknown
  readonly parse: (text: string) => Option.Option<unknown>
}

const declarationKey: unique symbol = Symbol("platform/Setting/declaration")

const isDeclared = (primitive: object): primitive is { readonly [declarationKey]: Declaration } =>
  declarationKey in primitive

/** Returns the declaration behind a primitive that a config provider is asked for, if a setting made it. */
export const declarationOf = (primitive: object): Declaration | undefined =>
  isDeclared(primitive) ? primitive[declarationKey] : undefined

/** A setting is a config that can be declared again with a default. */
export interface Setting<A> extends Config.Config<Option.Option<A>> {
  readonly declareDefault: (fallback: unknown) => Config.Config<Option.Option<A>>
}

/** A variable, absent when unset or empty, refused with its name, expected shape and an example when `parse` gives None. */
export const setting = <A>(name: string, shape: Shape, parse: (text: string) => Option.Option<A>): Setting<A> => {
  const declared = (fallback: unknown): Config.Config<Option.Option<A>> => {
    const declaration: Declaration = { name, shape, fallback, parse }
    const text = Object.assign(Config.primitive("a text property", Either.right<string>), {
      [declarationKey]: declaration
    })
    return Config.option(Config.nested(text, name)).pipe(
      Config.mapOrFail((given) => {
        const value = Option.map(given, (one) => one.trim())
        if (Option.isNone(value) || value.value === "") return Either.right(Option.none<A>())
        const parsed = parse(value.value)
        return Option.isSome(parsed) ? Either.right(parsed) : Either.left(refusal(name, shape, value.value))
      })
    )
  }
  return Object.assign(declared(undefined), { declareDefault: declared })
}

export const orDefault =
  <const B>(fallback: B) =>
  <A>(config: Setting<A>): Config.Config<A | B> =>
    Config.map(
      config.declareDefault(fallback),
      Option.getOrElse(() => fallback)
    )

export const text = (name: string, shape: Shape) => setting(name, shape, Option.some<string>)

export const integer = (name: string, range: { readonly min: number; readonly max: number }, shape: Shape) =>
  setting(name, shape, (given) => {
    const value = Number(given)
    return /^\d+$/.test(given) && value >= range.min && value <= range.max ? Option.some(value) : Option.none()
  })

export const port = (name: string, example: number) =>
  integer(
    name,
    { min: 0, max: 65_535 },
    { expected: "a TCP port from 1 to 65535, or 0 for any free one", example: String(example) }
  )

export const choice = <const A extends string>(name: string, choices: ReadonlyArray<A>, example: NoInfer<A>) =>
  setting(name, { expected: `one of ${choices.join(", ")}`, example }, (given) =>
    Option.fromNullable(choices.find((one) => one === given.toLowerCase()))
  )

const units = new Map<string, Duration.Unit>([
  ["ms", "millis"],
  ["s", "seconds"],
  ["m", "minutes"],
  ["h", "hours"],
  ["d", "days"]
])

/** `250ms`, `25s`, `10m`, `24h`, `7d`, or Effect's long form (`25 seconds`). */
export const parseDuration = (given: string): Option.Option<Duration.Duration> => {
  const short = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(given)
  const unit = units.get(short?.[2] ?? "")
  if (short?.[1] !== undefined && unit !== undefined) return Duration.decodeUnknown(`${Number(short[1])} ${unit}`)
  // Effect reads a negative duration as zero.
  return given.startsWith("-") ? Option.none() : Duration.decodeUnknown(given)
}

/** Bounds are inclusive. */
export const duration = (
  name: string,
  range: { readonly min: Duration.DurationInput; readonly max: Duration.DurationInput },
  example: string
) =>
  setting(
    name,
    {
      expected: `a duration from ${Duration.format(range.min)} to ${Duration.format(range.max)}, such as 250ms, 25s, 10m or 24h`,
      example
    },
    (given) => Option.filter(parseDuration(given), Duration.between({ minimum: range.min, maximum: range.max }))
  )

const byteUnits = new Map([
  ["", 1],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["tib", 2 ** 40]
])

/** `512MiB`, `4GiB`, or a plain number of bytes. Bounds are inclusive. */
export const bytes = (name: string, range: { readonly min: number; readonly max: number }, shape: Shape) =>
  setting(name, shape, (given) => {
    const found = /^(\d+)\s*(|[kmgt]ib)$/i.exec(given)
    const value = Number(found?.[1]) * (byteUnits.get(found?.[2]?.toLowerCase() ?? "") ?? Number.NaN)
    return value >= range.min && value <= range.max ? Option.some(value) : Option.none()
  })

export const secret = (name: string, shape: Omit<Shape, "secret">, accepts: (value: string) => boolean = () => true) =>
  setting(name, { ...shape, secret: true }, (given) =>
    accepts(given) ? Option.some(Redacted.make(given)) : Option.none()
  )

/** A connection string, redacted because it may hold a password. */
export const databaseUrl = (name: string) =>
  secret(
    name,
    { expected: "a PostgreSQL connection string", example: "postgresql://gravitas:password@127.0.0.1:5432/gravitas" },
    (given) => {
      const url = URL.canParse(given) ? new URL(given) : undefined
      // An unescaped "/" in a password moves the rest of it into the path.
      return url !== undefined && /^postgres(ql)?:$/.test(url.protocol) && /^\/[^/@]+$/.test(url.pathname)
    }
  )

/** The origin of a service: no path, and no name or password, which would end up in logs. */
export const origin = (name: string, example: string) =>
  // A wrong one is not repeated: it may hold the password that it must not hold.
  setting(
    name,
    { expected: "an http or https URL without path, user and password", example, secret: true },
    (given) => {
      const url = URL.canParse(given) ? new URL(given) : undefined
      const isOrigin =
        url !== undefined &&
        /^https?:$/.test(url.protocol) &&
        url.username + url.password + url.search + url.hash === "" &&
        url.pathname === "/"
      return isOrigin ? Option.some(url.origin) : Option.none()
    }
  )
