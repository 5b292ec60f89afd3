import * as Duration from "effect/Duration"
import type { Tier } from "../../contracts/router/ChatSchemas.ts"
import { segmentOf } from "../../domain/Spelling.ts"

export interface Timeouts {
  /** Until its socket is connected. */
  readonly connect: Duration.Duration
  /** Of a streamed answer: until its first event. */
  readonly firstByte: Duration.Duration
  /** Of a streamed answer: between two events. */
  readonly idle: Duration.Duration
  /** The whole answer, streamed or not. */
  readonly total: Duration.Duration
}

/** A model that thinks before its first word takes tens of seconds; one that has begun and stops is lost. */
export const standardTimeouts: Timeouts = {
  connect: Duration.seconds(5),
  firstByte: Duration.seconds(60),
  idle: Duration.seconds(30),
  total: Duration.minutes(10)
}

/** The names that providers have for the limit of an answer's tokens. */
export const tokenLimitFields = ["max_tokens", "max_completion_tokens"] as const

/** What becomes of a field of a request: it is sent, left out, or the provider is not asked and the client gets 400. */
export const fieldRules = ["pass", "drop", "refuse"] as const
export type FieldRule = (typeof fieldRules)[number]

export interface ProviderSpec {
  readonly name: string
  readonly kind: "openai-compatible" | "echo"
  /** Without a slash at its end; empty for `echo`. */
  readonly baseUrl: string
  /** The NAME of the variable that holds the key; the key itself is never in a file. */
  readonly apiKeyVariable: string | undefined
  /** The field for the limit: Ollama ignores the newer one without an error, OpenAI's newest models refuse the older. */
  readonly tokenLimit: (typeof tokenLimitFields)[number]
  /** The header for the key, in lower case; undefined: `Authorization`, as a bearer token. */
  readonly apiKeyHeader: string | undefined
  /** Further headers, their names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly query: ReadonlyMap<string, string>
  /** The URL of an HTTP proxy on the way to it. */
  readonly proxy: string | undefined
  /** The name of the variable that holds the URL, where that has a password. */
  readonly proxyVariable: string | undefined
  /** Whether a stream asks for its usage by `stream_options`, which some providers refuse. */
  readonly streamOptions: boolean
  /** What becomes of fields of a request, by name. */
  readonly fields: ReadonlyMap<string, FieldRule>
  readonly timeouts: Timeouts
}

/** A provider as it is where models.yaml says no more. */
export const standardProvider = {
  apiKeyVariable: undefined,
  tokenLimit: "max_tokens",
  apiKeyHeader: undefined,
  headers: new Map(),
  query: new Map(),
  proxy: undefined,
  proxyVariable: undefined,
  streamOptions: true,
  fields: new Map(),
  timeouts: standardTimeouts
} as const satisfies Omit<ProviderSpec, "name" | "kind" | "baseUrl">

export interface Shell {
  readonly name: string
  readonly tier: Tier
  readonly provider: string
  /** The provider's own name of it. */
  readonly upstreamModel: string
}

/** A ghost whose name can be used as a model's: its shells, the preferred one first. */
export interface Ghost {
  readonly name: string
  readonly shells: readonly [Shell, ...ReadonlyArray<Shell>]
  /** Whether the next shell is asked where one refuses what a request is about. */
  readonly fallsBackOnRefusal: boolean
}

/** The content of `models.yaml`, in the order of the file. A ghost and a shell never share a name. */
export interface Catalog {
  readonly providers: ReadonlyMap<string, ProviderSpec>
  readonly shells: ReadonlyMap<string, Shell>
  readonly ghosts: ReadonlyMap<string, Ghost>
}

/** The model name that leaves the choice to the tier; a shell or ghost must not have it. */
export const automatic = "auto"

/** The resource of a shell: `shells/<tier>/<model>`, the tier in lower case. */
export const shellResource = ({ name, tier }: Pick<Shell, "name" | "tier">): string =>
  `shells/${tier.toLowerCase()}/${segmentOf(name)}`

/** Each character may become nine, and the resource must fit into `maximumResourceLength`. */
const unknownNameLength = 25

/** The resource of a name that is not a shell's: the gatekeeper authenticates the caller of it before the router answers 404. */
export const unknownShellResource = (name: string): string =>
  `shells/unknown/${segmentOf(name.slice(0, unknownNameLength).toWellFormed())}`

export const historyResource = (ghost: string): string => `history/${segmentOf(ghost)}`

/** The gatekeeper's bound: a longer resource would be recorded cut. */
export const maximumResourceLength = 255
