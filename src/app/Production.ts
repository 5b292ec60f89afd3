import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { AuditSettings } from "../audit/AuditSettings.ts"
import { ClientSettings } from "../clients/ClientSettings.ts"
import type { ServiceName } from "../domain/Service.ts"
import { GatekeeperSettings } from "../gatekeeper/GatekeeperSettings.ts"
import { type Policy, rulesOf } from "../gatekeeper/policy/Policy.ts"
import { loadPolicy } from "../gatekeeper/policy/PolicyFile.ts"
import { sharedAlgorithm, TokenSettings } from "../gatekeeper/tokens/TokenSettings.ts"
import { weaknessOf } from "../gatekeeper/tokens/WeakSecret.ts"
import { GuardianSettings } from "../guardian/GuardianSettings.ts"
import {
  AllowedInsecurities,
  type InsecureName,
  InsecureSettings,
  type Insecurity,
  type MissingSetting,
  warningOf
} from "../platform/config/InsecureSettings.ts"
import { isLoopback, isPlainElsewhere } from "../platform/config/Loopback.ts"
import { embeddedServices, Settings } from "../platform/config/Settings.ts"
import { connect } from "../platform/postgres/Connection.ts"
import { displayAddress, isExposed, waitUntilReachable } from "../platform/postgres/Database.ts"
import type { Catalog } from "../router/models/Catalog.ts"
import { loadModels } from "../router/models/ModelsFile.ts"
import { RouterSettings } from "../router/RouterSettings.ts"

/** What the check looks at. */
export interface ProductionFacts {
  readonly services: ReadonlyArray<ServiceName>
  readonly process: typeof Settings.Service
  readonly clients: typeof ClientSettings.Service
  readonly audit: typeof AuditSettings.Service
  readonly tokens: typeof TokenSettings.Service
  readonly guardian: typeof GuardianSettings.Service
  /** Undefined where its service does not run here, or its file cannot be read: the service says so. */
  readonly policy: Policy | undefined
  readonly models: Catalog | undefined
}

const when = (isSo: boolean, name: InsecureName, problem: string): ReadonlyArray<Insecurity> =>
  isSo ? [{ name, problem }] : []

/** Whether the blocks hold half of the addresses of IPv4, or as many of IPv6 as all public ones are (2000::/3). */
const isEverywhere = (blocks: ReadonlyArray<string>): boolean => {
  const shareOf = (isFamily: (block: string) => boolean) =>
    blocks
      .filter(isFamily)
      .reduce((sum, block) => sum + 2 ** -Number(block.split("/")[1] ?? Number.POSITIVE_INFINITY), 0)
  const isIpv6 = (block: string) => block.includes(":")
  return shareOf((block) => !isIpv6(block)) >= 1 / 2 || shareOf(isIpv6) >= 1 / 8
}

const networkProblems = ({ clients, models, process }: ProductionFacts): ReadonlyArray<Insecurity> => {
  const { host, telemetry, tls } = process
  const peers = Object.entries(clients.peerUrls).flatMap(([peer, url]) =>
    Option.isSome(url) && isPlainElsewhere(url.value) ? [`${peer.toUpperCase()}_URL`] : []
  )
  const providers = [...(models?.providers.values() ?? [])]
    .filter(({ apiKeyVariable, baseUrl }) => apiKeyVariable !== undefined && isPlainElsewhere(baseUrl))
    .map(({ name }) => name)
  const receivers = Object.values(telemetry.destinations).filter(
    (url) => Option.isSome(url) && isPlainElsewhere(url.value)
  )
  const hasHeaders = Object.keys(Redacted.value(telemetry.headers)).length > 0
  return [
    ...when(
      Option.isNone(tls) && !isLoopback(host),
      "plain-http",
      `HOST=${host} takes tokens over plain HTTP from the network; set TLS_CERT_FILE and TLS_KEY_FILE, or HOST=127.0.0.1 behind a proxy`
    ),
    ...when(
      peers.length > 0,
      "plain-peers",
      `${peers.join(" and ")} would send callers' tokens over plain HTTP; use https, with PEER_CA_FILE for a CA of your own`
    ),
    ...when(
      providers.length > 0,
      "plain-providers",
      `the providers ${providers.join(", ")} of ROUTER_MODELS_PATH would get API keys over plain HTTP; use https in base_url`
    ),
    ...when(
      receivers.length > 0 && hasHeaders,
      "plain-telemetry",
      "OTEL_EXPORTER_OTLP_HEADERS would be sent over plain HTTP; use https in OTEL_EXPORTER_OTLP_ENDPOINT"
    ),
    ...when(
      isEverywhere(process.trustedProxies),
      "open-proxies",
      "TRUSTED_PROXIES trusts everyone, so that each client can choose the address that it is counted by; name the networks of your proxies"
    )
  ]
}

/** The distinct connection strings of the services that run here. */
const urlsOf = (
  { process, services }: Pick<ProductionFacts, "process" | "services">,
  purpose: "all" | "application"
) => {
  const sets = [process.databaseUrls, ...(purpose === "all" ? [process.migrationDatabaseUrls] : [])]
  const urls = sets.flatMap((set) => services.flatMap((service) => Option.toArray(set[service])))
  return [...new Map(urls.map((url) => [Redacted.value(url), url])).values()]
}

const databaseProblems = (facts: ProductionFacts): ReadonlyArray<Insecurity> => {
  const exposed = urlsOf(facts, "all").filter(isExposed)
  return [
    ...when(
      embeddedServices(facts.process).some((service) => facts.services.includes(service)),
      "embedded-postgres",
      "without DATABASE_URL all services share the embedded PostgreSQL as its superuser; set DATABASE_URL, with the roles of docs/roles.sql"
    ),
    ...when(
      exposed.length > 0,
      "plain-postgres",
      `${exposed.map(displayAddress).join(", ")} is reached without a verified certificate; add sslmode=verify-full, and sslrootcert for a CA of your own`
    )
  ]
}

/** Of the sample, and of the sample of version 0.1.0. */
const sampleAdministrators = ["Operator", "Supervisor_Managed_Agent", "dan_flory"]

const mayAll = (policy: Policy, ghost: string): boolean =>
  rulesOf(policy, ghost).some(
    ({ permission: { action, effect, resource } }) => action === "*" && resource === "*" && effect === "allow"
  )

const secretProblems = ({ services, tokens }: ProductionFacts): ReadonlyArray<Insecurity> => {
  const weaknesses = [...Option.toArray(tokens.secret), ...tokens.previousSecrets].flatMap(
    (secret) => weaknessOf(Redacted.value(secret)) ?? []
  )
  const isShared = services.includes("gatekeeper") && tokens.algorithms.includes(sharedAlgorithm)
  const missing = [
    ...(Option.isNone(tokens.issuer) ? ["JWT_ISSUER"] : []),
    ...(Option.isNone(tokens.audience) ? ["JWT_AUDIENCE"] : [])
  ]
  return [
    ...when(
      weaknesses.length > 0,
      "weak-secret",
      `JWT_SECRET_KEY or one of JWT_PREVIOUS_SECRET_KEYS can be guessed: ${weaknesses[0]}; make one: openssl rand -base64 48`
    ),
    ...when(
      isShared && missing.length > 0,
      "unbound-tokens",
      `without ${missing.join(" and ")} any token that the secret signs is accepted, whatever it was made for; set both`
    )
  ]
}

/** The secrets that production needs and does not make: they would differ from one instance to the next, and vanish with the disk. */
export const missingSecrets = ({
  guardian,
  services,
  tokens
}: {
  readonly guardian: Pick<ProductionFacts["guardian"], "signingKey">
  readonly services: ProductionFacts["services"]
  readonly tokens: Pick<ProductionFacts["tokens"], "algorithms" | "secret">
}): ReadonlyArray<MissingSetting> => {
  const isShared = services.includes("gatekeeper") && tokens.algorithms.includes(sharedAlgorithm)
  return [
    ...(isShared && Option.isNone(tokens.secret)
      ? [
          {
            name: "JWT_SECRET_KEY",
            problem: 'the secret that signs your tokens; to make one: JWT_SECRET_KEY="$(openssl rand -base64 48)"'
          }
        ]
      : []),
    ...(services.includes("guardian") && Option.isNone(guardian.signingKey)
      ? [
          {
            name: "GUARDIAN_SIGNING_KEY",
            problem:
              'the Ed25519 key that signs certificates; to make one: GUARDIAN_SIGNING_KEY="$(openssl genpkey -algorithm ed25519)"'
          }
        ]
      : [])
  ]
}

/** Everything that is insecure about how services are set up, but for what only their database knows. */
export const insecurities = (facts: ProductionFacts): ReadonlyArray<Insecurity> => {
  const { audit, models, policy } = facts
  const administrators = policy === undefined ? [] : sampleAdministrators.filter((ghost) => mayAll(policy, ghost))
  const echoes = [...(models?.shells.values() ?? [])]
    .filter(({ provider }) => models?.providers.get(provider)?.kind === "echo")
    .map(({ name }) => name)
  const modes = [audit.durability.default, ...Object.values(audit.durability.byResult)]
  return [
    ...networkProblems(facts),
    ...databaseProblems(facts),
    ...secretProblems(facts),
    ...when(
      administrators.length > 0,
      "sample-policy",
      `the policy lets the sample's administrators do everything: ${administrators.join(", ")}; name your own in ACCESS_POLICY_PATH`
    ),
    ...when(
      echoes.length > 0,
      "echo-models",
      `these models only repeat the question: ${echoes.join(", ")}; take them out of ROUTER_MODELS_PATH`
    ),
    ...when(
      modes.includes("memory") && audit.onFull === "shed",
      "lossy-audit",
      "AUDIT_DURABILITY=memory with AUDIT_ON_FULL=shed answers without a record; use the durability journal, or AUDIT_ON_FULL=refuse"
    )
  ]
}

const isSuperuser = (url: Redacted.Redacted) =>
  connect({ url, applicationName: "gravitas start" }).pipe(
    Effect.flatMap((session) =>
      session.query("select 1 from pg_catalog.pg_roles where rolname = current_user and rolsuper")
    ),
    Effect.map(({ rowCount }) => rowCount > 0),
    Effect.scoped
  )

const superuserProblem = (url: Redacted.Redacted): Insecurity => ({
  name: "superuser",
  problem: `${displayAddress(url)} is a superuser, which can change recorded rows; connect with the roles of docs/roles.sql`
})

/** Where there are problems already, a database that does not answer at once holds up no report of them. */
const superuserProblems = Effect.fnUntraced(function* (
  facts: Pick<ProductionFacts, "process" | "services">,
  isRefused: boolean
) {
  const found: Array<Insecurity> = []
  for (const url of urlsOf(facts, "application")) {
    const asked = isRefused
      ? Effect.orElseSucceed(isSuperuser(url), () => false)
      : Effect.zipRight(waitUntilReachable(url, facts.process.databaseConnectDeadline), isSuperuser(url))
    if (yield* asked) found.push(superuserProblem(url))
  }
  return found
})

const factsOf = Effect.fnUntraced(function* (services: ReadonlyArray<ServiceName>) {
  const { accessPolicyPath } = yield* GatekeeperSettings
  const { modelsPath } = yield* RouterSettings
  const policy = services.includes("gatekeeper") ? yield* Effect.option(loadPolicy(accessPolicyPath)) : Option.none()
  const models = services.includes("router") ? yield* Effect.option(loadModels(modelsPath)) : Option.none()
  const facts: ProductionFacts = {
    services,
    process: yield* Settings,
    clients: yield* ClientSettings,
    audit: yield* AuditSettings,
    tokens: yield* TokenSettings,
    guardian: yield* GuardianSettings,
    policy: Option.getOrUndefined(policy),
    models: Option.getOrUndefined(models)
  }
  return facts
})

const check = Effect.fnUntraced(function* (services: ReadonlyArray<ServiceName>) {
  const { allowInsecure, environment } = yield* Settings
  if (environment !== "production") return []
  const facts = yield* factsOf(services)
  const isRefused = ({ name }: Insecurity): boolean => !allowInsecure.includes(name)
  const known = insecurities(facts)
  const missing = missingSecrets(facts)
  const all = [...known, ...(yield* superuserProblems(facts, missing.length > 0 || known.some(isRefused)))]
  const problems = all.filter(isRefused)
  if (problems.length + missing.length > 0) return yield* new InsecureSettings({ problems, missing })
  for (const allowed of all) yield* Effect.logWarning(`DANGER: ${warningOf(allowed)}`)
  return all
})

/** Refuses insecure settings in production, all at once; what `ALLOW_INSECURE` accepts is kept for /health and the banner. */
export const secureSettings = (services: ReadonlyArray<ServiceName>) =>
  Layer.effect(AllowedInsecurities, check(services))
