import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { clockTolerance, peerCaFile } from "../../clients/ClientSettings.ts"
import { bearerClaims } from "../../clients/TokenClaims.ts"
import { isLoopback } from "../../platform/config/Loopback.ts"
import * as Setting from "../../platform/config/Setting.ts"
import { environment } from "../../platform/config/Settings.ts"

/** RFC 7518, section 3.2: a key for HS256 has 256 bits or more. */
export const minimumSecretBytes = 32

/** Signed with the secret that the gatekeeper shares with the issuer. */
export const sharedAlgorithm = "HS256"

/** Signed by an issuer whose public keys are at `JWKS_URL`. RFC 7518, section 3.1; RFC 8037; RFC 9864. */
const publicAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
] as const

/** `none` is not among them. */
export const tokenAlgorithms = [sharedAlgorithm, ...publicAlgorithms] as const
export type TokenAlgorithm = (typeof tokenAlgorithms)[number]

export interface TokenSettingsValues {
  readonly secret: Option.Option<Redacted.Redacted>
  /** Former secrets: their tokens are still accepted, and no token is signed with them. */
  readonly previousSecrets: ReadonlyArray<Redacted.Redacted>
  readonly issuer: Option.Option<string>
  readonly audience: Option.Option<string>
  /** The token of a process that calls the gatekeeper in its own name; None: it makes its own. */
  readonly serviceToken: Option.Option<Redacted.Redacted>
  readonly algorithms: ReadonlyArray<TokenAlgorithm>
  /** The longest time from `iat` to `exp`. */
  readonly maximumLifetime: Duration.Duration
  /** The longest life of a token that `POST /tokens` makes; `maximumLifetime` bounds it too. */
  readonly issuedLifetime: Duration.Duration
  /** Whether a token for services may be valid for longer: outside production, until the next minor version. */
  readonly longServiceTokens: boolean
  /** How far the issuer's clock may be from ours. */
  readonly clockTolerance: Duration.Duration
  readonly jwks: Option.Option<{
    readonly url: URL
    /** A CA in PEM that its certificate may come from, besides those that Node knows. */
    readonly caFile: Option.Option<string>
    /** How often the keys are fetched again, without a request too: a withdrawn key is trusted no longer than this. */
    readonly refresh: Duration.Duration
    /** How long the keys are trusted while they cannot be fetched again. */
    readonly maxAge: Duration.Duration
    /** The pause between two fetches that requests cause. */
    readonly coolDown: Duration.Duration
    readonly timeout: Duration.Duration
  }>
}

const hasEnoughBytes = (secret: string): boolean => Buffer.byteLength(secret) >= minimumSecretBytes

const secretShape = {
  expected: `at least ${minimumSecretBytes} bytes of secret text (RFC 7518 section 3.2 asks 256 bits for HS256)`,
  example: '"$(openssl rand -base64 48)"'
}

const maximumPreviousSecrets = 4

const previousSecrets = Setting.setting(
  "JWT_PREVIOUS_SECRET_KEYS",
  {
    expected: `up to ${maximumPreviousSecrets} secrets of at least ${minimumSecretBytes} bytes, separated by commas`,
    example: '"$(cat the-secret-before-this-one)"',
    secret: true
  },
  (given) => {
    const secrets = given.split(",").map((one) => one.trim())
    return secrets.length <= maximumPreviousSecrets && secrets.every(hasEnoughBytes)
      ? Option.some(secrets.map((one) => Redacted.make(one)))
      : Option.none()
  }
).pipe(Setting.orDefault([]))

const algorithms = Setting.setting(
  "JWT_ALGORITHMS",
  { expected: `some of ${tokenAlgorithms.join(", ")}, separated by commas`, example: "HS256,RS256" },
  (given) =>
    Option.all(
      given.split(",").map((one) => Option.fromNullable(tokenAlgorithms.find((known) => known === one.trim())))
    )
)

/** Keys decide which tokens are accepted: over a network they come by https only. */
const jwksUrl = Setting.setting(
  "JWKS_URL",
  {
    expected: "an https URL without user and password (http to this machine alone)",
    example: "https://issuer.example/.well-known/jwks.json",
    // A refused value is not repeated: it may be refused because it holds a password.
    secret: true
  },
  (given) => {
    const url = URL.canParse(given) ? new URL(given) : undefined
    if (url === undefined || url.username + url.password + url.hash !== "") return Option.none()
    const isSafe = url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))
    return isSafe ? Option.some(url) : Option.none()
  }
)

const given = Setting.all({
  environment,
  secret: Setting.secret("JWT_SECRET_KEY", secretShape, hasEnoughBytes),
  previousSecrets,
  issuer: Setting.text("JWT_ISSUER", {
    expected: "the `iss` that tokens must carry",
    example: "https://issuer.example"
  }),
  audience: Setting.text("JWT_AUDIENCE", { expected: "the `aud` that tokens must carry", example: "gravitas" }),
  serviceToken: Setting.secret(
    "SERVICE_TOKEN",
    { expected: "a bearer token, without the word Bearer", example: "eyJhbGciOi…" },
    (given) => /^[A-Za-z0-9\-._~+/]+=*$/.test(given)
  ),
  algorithms,
  maximumLifetime: Setting.duration("JWT_MAX_LIFETIME", { min: "1 minute", max: "3650 days" }, "1h").pipe(
    Setting.orDefault(Duration.hours(24), "24h")
  ),
  issuedLifetime: Setting.duration("TOKENS_MAX_LIFETIME", { min: "1 minute", max: "24 hours" }, "1h").pipe(
    Setting.orDefault(Duration.hours(1))
  ),
  clockTolerance,
  url: jwksUrl,
  caFile: peerCaFile,
  refresh: Setting.duration("JWKS_REFRESH_INTERVAL", { min: "1 second", max: "1 day" }, "5m").pipe(
    Setting.orDefault(Duration.minutes(5))
  ),
  maxAge: Setting.duration("JWKS_MAX_AGE", { min: "1 second", max: "7 days" }, "1h").pipe(
    Setting.orDefault(Duration.hours(1))
  ),
  coolDown: Setting.duration("JWKS_COOL_DOWN", { min: "100 millis", max: "1 hour" }, "10s").pipe(
    Setting.orDefault(Duration.seconds(10))
  ),
  timeout: Setting.duration("JWKS_TIMEOUT", { min: "100 millis", max: "30 seconds" }, "3s").pipe(
    Setting.orDefault(Duration.seconds(3))
  )
})

/**
 * An issuer's tokens are not all meant for this program (RFC 8725, section 3.9): production needs both claims. Returns the
 * missing variable and the reason.
 */
const issuerProblem = (
  environment: string,
  { audience, issuer, jwks }: TokenSettingsValues
): readonly [name: string, problem: string] | undefined => {
  if (environment !== "production" || Option.isNone(jwks)) return undefined
  const why = "is needed with JWKS_URL and NODE_ENV=production"
  if (Option.isNone(issuer)) return ["JWT_ISSUER", `${why}: the \`iss\` of the tokens that are accepted`]
  if (Option.isNone(audience)) {
    return ["JWT_AUDIENCE", `${why}: else a token that the issuer made for another program would be accepted`]
  }
  return undefined
}

/** Whether `SERVICE_TOKEN` is valid for longer than tokens may be. A token that is not readable is the gatekeeper's to refuse. */
export const isServiceTokenOverlong = ({
  clockTolerance,
  maximumLifetime,
  serviceToken
}: TokenSettingsValues): boolean =>
  Option.exists(serviceToken, (token) => {
    const { expiresAt, issuedAt } = bearerClaims(`Bearer ${Redacted.value(token)}`)
    const longest = Duration.toMillis(maximumLifetime) + Duration.toMillis(clockTolerance)
    return expiresAt !== undefined && issuedAt !== undefined && expiresAt - issuedAt > longest
  })

/** Settings that contradict each other are refused: one of them is not what was meant. */
const tokenSettings: Setting.Setting<TokenSettingsValues> = given.pipe(
  Setting.mapOrFail(({ algorithms, caFile, coolDown, environment, maxAge, refresh, timeout, url, ...rest }) => {
    // With an issuer elsewhere a secret is shared only if it is set: a made-up one would be signed with by no issuer.
    const shared: ReadonlyArray<TokenAlgorithm> =
      Option.isNone(url) || Option.isSome(rest.secret) ? [sharedAlgorithm] : []
    const byDefault = Option.isNone(url) ? shared : ([...shared, "RS256", "ES256", "EdDSA", "Ed25519"] as const)
    const allowed = Option.getOrElse(algorithms, () => byDefault)
    const needKeys = allowed.filter((one) => one !== sharedAlgorithm)
    if (Option.isNone(url) && needKeys.length > 0) {
      return Setting.refused("JWT_ALGORITHMS", `${needKeys.join(", ")} need the issuer's public keys: set JWKS_URL too`)
    }
    if (Option.isSome(url) && needKeys.length === 0) {
      return Setting.refused(
        "JWT_ALGORITHMS",
        `with JWKS_URL expected one of ${publicAlgorithms.join(", ")} among them`
      )
    }
    if (!allowed.includes(sharedAlgorithm) && rest.previousSecrets.length > 0) {
      return Setting.refused("JWT_PREVIOUS_SECRET_KEYS", `is of no use unless JWT_ALGORITHMS has ${sharedAlgorithm}`)
    }
    const values: TokenSettingsValues = {
      ...rest,
      longServiceTokens: environment !== "production",
      algorithms: allowed,
      jwks: Option.map(url, (url) => ({ url, caFile, refresh, maxAge, coolDown, timeout }))
    }
    const problem = issuerProblem(environment, values)
    return problem === undefined ? Either.right(values) : Setting.refused(...problem)
  })
)

/** Which tokens the gatekeeper accepts, and with what this process signs its own. */
export class TokenSettings extends Context.Tag("gatekeeper/tokens/TokenSettings")<
  TokenSettings,
  TokenSettingsValues
>() {
  static readonly config = tokenSettings
}
