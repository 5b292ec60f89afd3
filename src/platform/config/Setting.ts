import { isIP } from "node:net"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/** What a variable is, for the reader of a refusal and of the reference. */
interface Shape {
  /** Completes "expected …". */
  readonly expected: string
  readonly example: string
  /** Secrets are never repeated in a refusal. */
  readonly secret?: boolean
}

/** A variable of the environment, for the generated reference, whose texts are in scripts/docs/SettingMeanings.ts. */
export interface Variable extends Required<Shape> {
  readonly name: string
  /** As text; null where an unset variable has no value. */
  readonly default: string | null
}

/** A Config that knows the variables it reads. */
export interface Setting<A> extends Config.Config<A> {
  readonly variables: ReadonlyArray<Variable>
}

const withVariables = <A>(config: Config.Config<A>, variables: ReadonlyArray<Variable>): Setting<A> =>
  Object.assign(config, { variables })

/** The value that a setting reads. */
export type Value<S> = S extends Config.Config<infer A> ? A : never

type Values<S> = { readonly [K in keyof S]: Value<S[K]> }

/** `Config.all` of settings: it reports every variable that is refused, not only the first. */
export const all = <S extends Readonly<Record<string, Setting<unknown>>>>(settings: S): Setting<Values<S>> =>
  withVariables(
    // Config.all keeps the type of each key; the compiler cannot follow that for a type parameter.
    Config.all(settings) as Config.Config<Values<S>>,
    Object.values(settings).flatMap(({ variables }) => variables)
  )

export const map =
  <A, B>(f: (value: A) => B) =>
  (setting: Setting<A>): Setting<B> =>
    withVariables(Config.map(setting, f), setting.variables)

export const mapOrFail =
  <A, B>(f: (value: A) => Either.Either<B, ConfigError.ConfigError>) =>
  (setting: Setting<A>): Setting<B> =>
    withVariables(Config.mapOrFail(setting, f), setting.variables)

/** Refuses a variable whose value does not go with the others. */
export const refused = (name: string, problem: string): Either.Either<never, ConfigError.ConfigError> =>
  Either.left(ConfigError.InvalidData([name], problem))

const refusal = (name: string, shape: Shape, got: string, why?: string): ConfigError.ConfigError =>
  ConfigError.InvalidData(
    [name],
    `${shape.secret === true ? "" : `got ${JSON.stringify(got)}; `}expected ${shape.expected}${
      why === undefined ? "" : ` (${why})`
    }; for example ${name}=${shape.example}`
  )

/** What Kubernetes sets `<SERVICE>_PORT` to, in the pods of a namespace that has a Service of that name. */
const serviceLink = /^(tcp|udp):\/\/\[?[0-9a-f.:]+\]?:\d+$/
const serviceLinkHint =
  "Kubernetes set it for a Service of that name: give the pod enableServiceLinks: false, or the variable a value"

/** A variable: None when unset or empty, refused with its name, expected shape and an example when `parse` returns None. */
export const setting = <A>(
  name: string,
  shape: Shape,
  parse: (text: string) => Option.Option<A>
): Setting<Option.Option<A>> =>
  withVariables(
    Config.option(Config.string(name)).pipe(
      Config.mapOrFail((text) => {
        const value = Option.map(text, (given) => given.trim())
        if (Option.isNone(value) || value.value === "") return Either.right(Option.none<A>())
        if (serviceLink.test(value.value)) return Either.left(refusal(name, shape, value.value, serviceLinkHint))
        const parsed = parse(value.value)
        return Option.isSome(parsed) ? Either.right(parsed) : Either.left(refusal(name, shape, value.value))
      })
    ),
    [{ name, secret: false, default: null, ...shape }]
  )

const defaultText = (fallback: unknown): string | null =>
  typeof fallback === "string" || typeof fallback === "number"
    ? String(fallback)
    : Duration.isDuration(fallback)
      ? Duration.format(fallback)
      : null

/** The value of an unset variable; `text` is how a user would write it, where that differs from the value. */
export const orDefault =
  <const B>(fallback: B, text = defaultText(fallback)) =>
  <A>(setting: Setting<Option.Option<A>>): Setting<A | B> =>
    withVariables(
      Config.map(
        setting,
        Option.getOrElse(() => fallback)
      ),
      setting.variables.map((variable) => ({ ...variable, default: text }))
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

const isNetwork = (text: string): boolean => {
  const [address = "", prefix, ...rest] = text.split("/")
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return (
    bits >= 0 && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  )
}

/** Addresses and CIDR blocks, separated by commas. */
export const networks = (name: string) =>
  setting(
    name,
    { expected: "IP addresses or CIDR blocks, separated by commas", example: "10.0.0.0/8,fd00::/8" },
    (given) =>
      Option.liftPredicate(
        given.split(",").map((one) => one.trim()),
        (found): found is Array<string> => found.every(isNetwork)
      )
  )

export const choice = <const A extends string>(name: string, choices: ReadonlyArray<A>, example: NoInfer<A>) =>
  setting(name, { expected: `one of ${choices.join(", ")}`, example }, (given) =>
    Option.fromNullable(choices.find((one) => one === given.toLowerCase()))
  )

/** `true` or `false`; false where unset. */
export const flag = (name: string, example: "true" | "false") =>
  choice(name, ["true", "false"], example).pipe(
    orDefault("false"),
    map((given) => given === "true")
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

/** What a request says of how long something is valid: a duration, or a number of seconds. */
export const parseLifetime = (given: string | number): Option.Option<Duration.Duration> =>
  typeof given === "string"
    ? parseDuration(given)
    : Option.liftPredicate(Duration.seconds(given), () => Number.isFinite(given))

/** A duration; both bounds are allowed. */
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

/** `512MiB`, `4GiB`, or a plain number of bytes; both bounds are allowed. */
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

const isDecodable = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/**
 * Whether a text is a connection string of PostgreSQL that names a database. A special character of the password that is not
 * percent-encoded is refused where it can be told: "/" moves the rest into the path, "#" ends the address, "%" begins a code.
 */
export const isPostgresUrl = (text: string): boolean => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return (
    url !== undefined &&
    /^postgres(ql)?:$/.test(url.protocol) &&
    /^\/[^/@]+$/.test(url.pathname) &&
    url.hash === "" &&
    isDecodable(text)
  )
}

/** What is expected where `isPostgresUrl` refuses. */
export const postgresUrl =
  "a PostgreSQL connection string, in which special characters of the password are percent-encoded (@ is %40, # is %23, / is %2F, % is %25)"

/** A connection string, redacted because it may hold a password. */
export const databaseUrl = (name: string) =>
  secret(
    name,
    { expected: postgresUrl, example: "postgresql://gravitas:password@127.0.0.1:5432/gravitas" },
    isPostgresUrl
  )

/** The origin of a service: no path, and no name or password, which would end up in logs. */
export const origin = (name: string, example: string) =>
  setting(
    name,
    // A refused value is not repeated: it may be refused because it holds a password.
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
