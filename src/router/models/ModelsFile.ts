import type * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parsed } from "../../contracts/Fields.ts"
import { tiers } from "../../contracts/router/ChatSchemas.ts"
import { hasControlCharacter, isLongerThan } from "../../domain/Text.ts"
import { parseDuration } from "../../platform/config/Setting.ts"
import * as YamlSchema from "../../platform/config/YamlSchema.ts"
import { handledFields } from "../protocol/ChatRequest.ts"
import { RouterSettings } from "../RouterSettings.ts"
import {
  automatic,
  type Catalog,
  fieldRules,
  type Ghost,
  historyResource,
  maximumResourceLength,
  type ProviderSpec,
  type Shell,
  shellResource,
  standardProvider,
  standardTimeouts,
  tokenLimitFields
} from "./Catalog.ts"

class ModelsRefused extends YamlSchema.FileRefused(
  "ModelsRefused",
  "Models refused. Correct the file, or name another by ROUTER_MODELS_PATH"
) {}

/** Characters of a shell's, a ghost's or a provider's name. */
const maximumNameLength = 120

/** Characters of any other text. */
const maximumTextLength = 2_000

const text = YamlSchema.text.pipe(
  Schema.filter(
    (value) =>
      (!isLongerThan(value, maximumTextLength) && !hasControlCharacter(value)) ||
      `must have at most ${maximumTextLength} characters, and no control characters`
  )
)

const nameProblem = (name: string): string | undefined =>
  isLongerThan(name, maximumNameLength) || hasControlCharacter(name)
    ? `must have a name of at most ${maximumNameLength} characters, without control characters`
    : undefined

const timeoutBounds = { minimum: Duration.millis(10), maximum: Duration.hours(1) }

const timeout = (standard: Duration.Duration) =>
  Schema.optionalWith(
    parsed(text, Schema.DurationFromSelf, {
      read: (given) => Option.getOrUndefined(Option.filter(parseDuration(given), Duration.between(timeoutBounds))),
      problem: "must be a duration from 10ms to 1h, such as 30s",
      write: Duration.format
    }),
    { exact: true, default: () => standard }
  )

const timeouts = Schema.optionalWith(
  Schema.Struct({
    connect: timeout(standardTimeouts.connect),
    firstByte: timeout(standardTimeouts.firstByte).pipe(Schema.fromKey("first_byte")),
    idle: timeout(standardTimeouts.idle),
    total: timeout(standardTimeouts.total)
  }),
  { exact: true, default: () => standardTimeouts }
)

/** Does not repeat the value, which may hold a password. */
const urlProblem = (value: string): string | undefined => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return "must be an http or https URL"
  return url.username + url.password + url.search + url.hash === ""
    ? undefined
    : "must have no user, password, query or fragment"
}

const variableName = text.pipe(
  Schema.filter(
    (name) =>
      /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || "must be the NAME of a variable, such as DEEPINFRA_API_KEY, not the key"
  )
)

/** Fields that this program sets itself, by `model`, `token_limit` and `stream_options`, or that only it reads. */
const fieldProblem = (name: string): string | undefined =>
  handledFields.has(name) ? "is set by Gravitas, and has no rule" : nameProblem(name)

/** A token of HTTP (RFC 9110, section 5.6.2). */
const isToken = (name: string): boolean => /^[\w!#$%&'*+.^`|~-]+$/.test(name)

/** Headers that this program sets. */
const reservedHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/**
 * Names of headers and of query parameters that hold a key: `authorization`, `x-api-key`, `x-goog-api-key`, `access_token`,
 * `ocp-apim-subscription-key`. A key in the file would be read by its readers; one in the query also by those of the logs.
 */
const secretName =
  /(^|[-_])(api|subscription|access|auth|secret)?[-_]?(key|token|secret|password|signature|sig)$|authorization$|cookie$/i

const keyHint = "would hold a key; name its variable by api_key_env, and its header by api_key_header"

const headerProblem = (name: string): string | undefined => {
  if (!isToken(name)) return "is not the name of a header"
  if (secretName.test(name)) return keyHint
  return reservedHeaders.has(name.toLowerCase()) ? "is set by Gravitas" : undefined
}

const queryProblem = (name: string): string | undefined => (secretName.test(name) ? keyHint : undefined)

/** Headers that cannot hold a provider's key. */
const unfitHeaders: ReadonlySet<string> = new Set([
  ...reservedHeaders,
  "authorization",
  "cookie",
  "proxy-authorization"
])

const headerName = text.pipe(
  Schema.filter((name) => (isToken(name) && !unfitHeaders.has(name.toLowerCase())) || "must be the name of a header")
)

const headerValue = text.pipe(
  Schema.filter((value) => /^[\x20-\x7e]+$/.test(value) || "must hold only printable ASCII characters")
)

const mapping = <A, I>(value: Schema.Schema<A, I>, problem?: (name: string) => string | undefined) =>
  Schema.optionalWith(YamlSchema.mapOf(value, problem), { exact: true, default: () => new Map<string, A>() })

const provider = Schema.Union(
  Schema.Struct({
    kind: Schema.Literal("openai-compatible"),
    base_url: text.pipe(Schema.filter(urlProblem)),
    api_key_env: Schema.optionalWith(variableName, { exact: true }),
    api_key_header: Schema.optionalWith(headerName, { exact: true }),
    token_limit: Schema.optionalWith(Schema.Literal(...tokenLimitFields), { exact: true, default: () => "max_tokens" }),
    stream_options: Schema.optionalWith(Schema.Boolean, { exact: true, default: () => true }),
    fields: mapping(Schema.Literal(...fieldRules), fieldProblem),
    headers: mapping(headerValue, headerProblem),
    query: mapping(text, queryProblem),
    proxy: Schema.optionalWith(text.pipe(Schema.filter(urlProblem)), { exact: true }),
    proxy_env: Schema.optionalWith(variableName, { exact: true }),
    timeouts
  }).pipe(
    Schema.filter(({ proxy, proxy_env }) =>
      proxy === undefined || proxy_env === undefined
        ? undefined
        : { path: ["proxy"], message: "is given beside proxy_env; keep one of them" }
    )
  ),
  Schema.Struct({ kind: Schema.Literal("echo"), timeouts })
)

const shell = (providers: ReadonlySet<string>) =>
  Schema.Struct({
    tier: Schema.Literal(...tiers),
    provider: text.pipe(
      Schema.filter((name) => providers.has(name) || `is ${name}, which is not a provider of this file`)
    ),
    model: Schema.optionalWith(text, { exact: true })
  })

const ghost = (shells: ReadonlySet<string>) => {
  const shellName = text.pipe(
    Schema.filter((name) => shells.has(name) || `is ${name}, which is not a shell of this file`)
  )
  return Schema.Struct({
    preferred_shell: shellName,
    fallback_shells: Schema.optionalWith(Schema.Array(shellName), { exact: true, default: () => [] }),
    fallback_on_refusal: Schema.optionalWith(Schema.Boolean, { exact: true, default: () => false })
  }).pipe(
    Schema.filter(({ fallback_shells, preferred_shell }) => {
      const names = [preferred_shell, ...fallback_shells]
      const again = names.findIndex((name, i) => names.indexOf(name) < i)
      const message = `is ${names[again]}, which the ghost names twice`
      return again === -1 ? undefined : { path: ["fallback_shells", again - 1], message }
    })
  )
}

const reserved = `must not be called ${automatic}: that leaves the choice to the tier`

/** Keys that it does not know are refused: a misspelt one would silently change who answers. */
const modelsSchema = (namesIn: (key: string) => ReadonlySet<string>) => {
  const shellNames = namesIn("shells")
  const folded = new Map<string, string>()
  const shellNameProblem = (name: string): string | undefined => {
    if (name === automatic) return reserved
    if (isLongerThan(shellResource({ name, tier: "L1" }), maximumResourceLength)) return "has a name that is too long"
    const twin = folded.get(name.toLowerCase())
    folded.set(name.toLowerCase(), name)
    return twin === undefined
      ? nameProblem(name)
      : `and ${twin} differ by case only, which a reader of a policy may not see`
  }
  const ghostNameProblem = (name: string): string | undefined => {
    if (shellNames.has(name)) return `is a shell and a ghost: a request for ${name} could mean either`
    if (name === automatic) return reserved
    return isLongerThan(historyResource(name), maximumResourceLength)
      ? "has a name that is too long"
      : nameProblem(name)
  }
  return Schema.Struct({
    providers: YamlSchema.mapOf(provider, nameProblem),
    shells: YamlSchema.mapOf(shell(namesIn("providers")), shellNameProblem),
    ghosts: Schema.optionalWith(YamlSchema.mapOf(ghost(shellNames), ghostNameProblem), { exact: true })
  })
}

const lowerCase = (headers: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...headers].map(([name, value]) => [name.toLowerCase(), value]))

const providerSpec = (name: string, given: typeof provider.Type): ProviderSpec =>
  given.kind === "echo"
    ? { ...standardProvider, name, ...given, baseUrl: "" }
    : {
        name,
        kind: given.kind,
        baseUrl: given.base_url.replace(/\/+$/, ""),
        apiKeyVariable: given.api_key_env,
        apiKeyHeader: given.api_key_header?.toLowerCase(),
        tokenLimit: given.token_limit,
        streamOptions: given.stream_options,
        fields: given.fields,
        headers: lowerCase(given.headers),
        query: given.query,
        proxy: given.proxy,
        proxyVariable: given.proxy_env,
        timeouts: given.timeouts
      }

const catalogOf = (file: Schema.Schema.Type<ReturnType<typeof modelsSchema>>): Catalog => {
  const providers = new Map<string, ProviderSpec>()
  for (const [name, given] of file.providers) providers.set(name, providerSpec(name, given))
  const shells = new Map<string, Shell>()
  for (const [name, { model, provider, tier }] of file.shells) {
    shells.set(name, { name, tier, provider, upstreamModel: model ?? name })
  }
  const ghosts = new Map<string, Ghost>()
  for (const [name, { fallback_on_refusal, fallback_shells, preferred_shell }] of file.ghosts ?? []) {
    const [first, ...rest] = [preferred_shell, ...fallback_shells].flatMap((shell) => shells.get(shell) ?? [])
    if (first !== undefined)
      ghosts.set(name, { name, shells: [first, ...rest], fallsBackOnRefusal: fallback_on_refusal })
  }
  return { providers, shells, ghosts }
}

export const parseModels = (source: string, file: string): Either.Either<Catalog, ModelsRefused> =>
  Either.mapBoth(YamlSchema.decode(modelsSchema, source), {
    onLeft: (problems) => new ModelsRefused({ file, problems }),
    onRight: ({ value }) => catalogOf(value)
  })

export const loadModels = (file: string): Effect.Effect<Catalog, ModelsRefused, FileSystem.FileSystem> =>
  YamlSchema.readNamedText(file).pipe(
    Effect.mapError((problems) => new ModelsRefused({ file, problems })),
    Effect.flatMap((source) => parseModels(source, file))
  )

/** The catalogue of `models.yaml` as it was at the start. It is read before a port opens, once for all. */
export class Models extends Context.Tag("router/models/Models")<Models, Catalog>() {
  static readonly layer = Layer.effect(
    Models,
    Effect.flatMap(RouterSettings, ({ modelsPath }) => loadModels(modelsPath))
  )
}
