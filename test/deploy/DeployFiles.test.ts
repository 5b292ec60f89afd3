import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parseAllDocuments } from "yaml"
import { endpointsOf } from "../../scripts/docs/Endpoints.ts"
import { metricsBelow } from "../../scripts/docs/Metrics.ts"
import { variables } from "../../scripts/docs/Sources.ts"
import { envLines, keyVariables } from "../../src/app/UnknownSettings.ts"
import { defaultPorts } from "../../src/domain/Service.ts"
import { rulesOf } from "../../src/gatekeeper/policy/Policy.ts"
import { parsePolicy } from "../../src/gatekeeper/policy/PolicyFile.ts"
import { parseDuration } from "../../src/platform/config/Setting.ts"
import { parseModels } from "../../src/router/models/ModelsFile.ts"
import { project } from "../support/Program.ts"

const folder = join(project, "deploy")

const read = (name: string): string => readFileSync(join(folder, name), "utf8")

/** The documents of a YAML file, as plain values. */
const documentsIn = (name: string): ReadonlyArray<unknown> =>
  parseAllDocuments(read(name)).map((document) => {
    expect(document.errors, name).toEqual([])
    return document.toJS()
  })

const Probe = Schema.Struct({
  httpGet: Schema.Struct({ path: Schema.String, port: Schema.Literal("gatekeeper"), scheme: Schema.Literal("HTTPS") }),
  periodSeconds: Schema.Number,
  timeoutSeconds: Schema.Number.pipe(Schema.greaterThanOrEqualTo(2)),
  failureThreshold: Schema.Number
})

const Container = Schema.Struct({
  image: Schema.String,
  env: Schema.Array(Schema.Struct({ name: Schema.String, value: Schema.String })),
  securityContext: Schema.Struct({
    allowPrivilegeEscalation: Schema.Literal(false),
    readOnlyRootFilesystem: Schema.Literal(true),
    capabilities: Schema.Struct({ drop: Schema.Tuple(Schema.Literal("ALL")) })
  }),
  volumeMounts: Schema.Array(Schema.Struct({ name: Schema.String, mountPath: Schema.String }))
})

const podOf = <A, I>(container: Schema.Schema<A, I>) =>
  Schema.Struct({
    enableServiceLinks: Schema.Literal(false),
    automountServiceAccountToken: Schema.Literal(false),
    securityContext: Schema.Struct({ runAsNonRoot: Schema.Literal(true), fsGroup: Schema.Number }),
    containers: Schema.Tuple(container)
  })

const StatefulSet = Schema.Struct({
  kind: Schema.Literal("StatefulSet"),
  spec: Schema.Struct({
    template: Schema.Struct({
      spec: Schema.extend(
        podOf(
          Schema.extend(
            Container,
            Schema.Struct({
              ports: Schema.Array(Schema.Struct({ name: Schema.String, containerPort: Schema.Number })),
              startupProbe: Probe,
              readinessProbe: Probe,
              livenessProbe: Probe
            })
          )
        ),
        Schema.Struct({ terminationGracePeriodSeconds: Schema.Number })
      )
    })
  })
})

const Job = Schema.Struct({
  kind: Schema.Literal("Job"),
  spec: Schema.Struct({ template: Schema.Struct({ spec: podOf(Container) }) })
})

const ConfigMap = Schema.Struct({
  kind: Schema.Literal("ConfigMap"),
  data: Schema.Struct({ "access-policy.yaml": Schema.String, "models.yaml": Schema.String })
})

const Service = Schema.Struct({
  kind: Schema.Literal("Service"),
  spec: Schema.Struct({ ports: Schema.Array(Schema.Struct({ name: Schema.String, port: Schema.Number })) })
})

const Compose = Schema.Struct({
  services: Schema.Struct({
    gravitas: Schema.Struct({
      image: Schema.String,
      environment: Schema.Record({ key: Schema.String, value: Schema.String }),
      ports: Schema.Array(Schema.String),
      stop_grace_period: Schema.String
    })
  })
})

const all = <A, I>(schema: Schema.Schema<A, I>, name: string): ReadonlyArray<A> =>
  documentsIn(name).flatMap((document) => Option.toArray(Schema.decodeUnknownOption(schema)(document)))

const one = <A, I>(schema: Schema.Schema<A, I>, name: string): A => {
  const decoded = documentsIn(name).map((document) => Schema.decodeUnknownEither(schema)(document))
  const [found] = decoded.flatMap((either) => (Either.isRight(either) ? [either.right] : []))
  if (found === undefined) throw new Error(`${name}: ${decoded.map(String).join("\n")}`)
  return found
}

const statefulSet = one(StatefulSet, "kubernetes/gravitas.yaml").spec.template.spec
const [container] = statefulSet.containers
const [migration] = one(Job, "kubernetes/migrate.yaml").spec.template.spec.containers
const compose = one(Compose, "compose/compose.yaml").services.gravitas
const config = one(ConfigMap, "kubernetes/config.yaml").data
const units = ["systemd/gravitas.service", "systemd/gravitas-migrate.service"]

/** The settings that a unit or a Containerfile gives, also where a comment shows them. */
const assigned = (name: string): ReadonlyArray<readonly [string, string]> =>
  read(name)
    .split("\n")
    .filter((line) => /^#?(Environment=|ENV | {4}[A-Z_]+=)/.test(line))
    .flatMap((line) => [...line.replace(/^#?Environment=/, "").matchAll(/([A-Z][A-Z_]+)=(\S+)/g)])
    .map(([, name = "", value = ""]) => [name, value])

const seconds = (text = "0s"): number => Duration.toSeconds(Option.getOrThrow(parseDuration(text)))

const defaultOf = (name: string): string => variables.find((one) => one.name === name)?.default ?? "0s"

const envOf = (env: typeof container.env): ReadonlyMap<string, string> =>
  new Map(env.map(({ name, value }) => [name, value]))

describe("deploy/", () => {
  it("sets settings that the program knows", () => {
    const known = new Set([...variables.map(({ name }) => name), ...keyVariables(config["models.yaml"])])
    const given = [
      ...[...units, "container/Containerfile"].flatMap((name) => assigned(name).map(([setting]) => setting)),
      ...[container, migration].flatMap(({ env }) => env.map(({ name }) => name)),
      ...Object.keys(compose.environment),
      ...["gravitas.env.example", "migrate.env.example"].flatMap((name) =>
        envLines(read(name)).map((line) => line.name ?? "")
      )
    ]
    expect(given.length).toBeGreaterThan(30)
    expect(given.filter((name) => !known.has(name))).toEqual([])
  })

  it("opens the ports of the services under their names", () => {
    const expected = Object.entries(defaultPorts)
    expect(container.ports.map(({ containerPort, name }) => [name, containerPort])).toEqual(expected)
    const [balanced] = all(Service, "kubernetes/gravitas.yaml")
    expect(balanced?.spec.ports.map(({ name, port }) => [name, port])).toEqual(expected)
    const ports = expected.map(([, port]) => port)
    expect(read("container/Containerfile")).toContain(`EXPOSE ${ports.join(" ")}\n`)
    expect(compose.ports).toEqual(ports.map((port) => `127.0.0.1:${port}:${port}`))
  })

  it("probes endpoints that the gatekeeper has", () => {
    const endpoints = endpointsOf("gatekeeper").map(({ method, path }) => `${method} ${path}`)
    const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe]
    expect(probes.map(({ httpGet }) => httpGet.path)).toEqual(["/healthz", "/readyz", "/healthz"])
    for (const { httpGet } of probes) expect(endpoints).toContain(`GET ${httpGet.path}`)
    expect(read("container/healthcheck.mjs")).toContain(":${port}/healthz`")
  })

  it("stops no process before its own deadline, and goes on answering until the probe has noticed", () => {
    const env = envOf(container.env)
    const delay = seconds(env.get("SHUTDOWN_DELAY"))
    const { failureThreshold, periodSeconds, timeoutSeconds } = container.readinessProbe
    expect(delay).toBeGreaterThan(periodSeconds * failureThreshold + timeoutSeconds)
    expect(statefulSet.terminationGracePeriodSeconds).toBeGreaterThan(delay + seconds(env.get("SHUTDOWN_DEADLINE")))

    const deadline = seconds(defaultOf("SHUTDOWN_DEADLINE"))
    const unit = new Map(assigned("systemd/gravitas.service"))
    const stop = /^TimeoutStopSec=(.+)$/m.exec(read("systemd/gravitas.service"))?.[1]
    expect(seconds(stop)).toBeGreaterThan(seconds(unit.get("SHUTDOWN_DELAY")) + deadline)
    expect(seconds(compose.stop_grace_period)).toBeGreaterThan(deadline)
  })

  it("keeps the home in a volume, and gives no service the owner's connection", () => {
    const home = envOf(container.env).get("GRAVITAS_HOME") ?? ""
    expect(container.volumeMounts.some(({ mountPath }) => home.startsWith(`${mountPath}/`))).toBe(true)
    expect(envOf(container.env).get("MIGRATE_ON_START")).toBe("verify")
    expect(compose.environment["MIGRATE_ON_START"]).toBe("verify")
    expect(read("systemd/gravitas.service")).toContain("\nEnvironment=MIGRATE_ON_START=verify\n")
    const shown = ["gravitas.env.example", "migrate.env.example"].flatMap(
      (name) => read(name).match(/postgresql:\S+/g) ?? []
    )
    expect(shown.length).toBe(2)
    for (const url of shown) expect(URL.canParse(url), url).toBe(true)
    const names = envLines(read("gravitas.env.example")).map(({ name }) => name)
    expect(names.filter((name) => name?.includes("MIGRATION"))).toEqual([])
  })

  it.effect("has a policy and models that the program accepts, without the sample's administrators", () =>
    Effect.gen(function* () {
      const policy = yield* parsePolicy(config["access-policy.yaml"], "config.yaml")
      expect(rulesOf(policy, "Operator")).toEqual([])
      expect(rulesOf(policy, "agent-one").length).toBeGreaterThan(0)
      const models = yield* parseModels(config["models.yaml"], "config.yaml")
      expect([...models.providers.values()].map(({ kind }) => kind)).not.toContain("echo")
    })
  )

  it("names one image, of the version in package.json", () => {
    const { version } = Schema.decodeSync(Schema.parseJson(Schema.Struct({ version: Schema.String })))(
      readFileSync(join(project, "package.json"), "utf8")
    )
    const images = [container.image, migration.image, compose.image]
    expect(new Set(images)).toEqual(new Set([`gravitas:${version}`]))
  })

  it("alerts on metrics that the program has, and describes each alert", () => {
    const Rules = Schema.Struct({
      groups: Schema.Tuple(
        Schema.Struct({
          rules: Schema.Array(
            Schema.Struct({
              alert: Schema.String,
              expr: Schema.String,
              labels: Schema.Struct({ severity: Schema.Literal("critical", "warning") }),
              annotations: Schema.Struct({ summary: Schema.String })
            })
          )
        })
      )
    })
    const [{ rules }] = one(Rules, "alerts.yaml").groups
    const metrics = new Set(metricsBelow(join(project, "src")).map(({ name }) => name))
    const used = rules.flatMap(({ expr }) => expr.match(/\b[a-z]+(?:_[a-z]+)+\b(?=[[{ ]|$)/g) ?? [])
    expect(used.length).toBeGreaterThanOrEqual(rules.length - 1)
    const unknown = used
      .map((name) => name.replace(/_bucket$/, ""))
      .filter((name) => name !== "histogram_quantile" && !metrics.has(name))
    expect(unknown).toEqual([])
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })

  it("installs what the Containerfile, the units and the compose file name", () => {
    const named = [
      [/dockerfile: (\S+)/, "compose/compose.yaml"],
      [/scripts\/release\/main\.ts/, "container/Containerfile"],
      [/deploy\/container\/healthcheck\.mjs/, "container/Containerfile"]
    ] as const
    for (const [pattern, name] of named) {
      const [whole = "", group] = pattern.exec(read(name)) ?? []
      const path = group ?? whole
      expect(readdirSync(join(project, path, "..")), name).toContain(path.split("/").at(-1))
    }
  })
})
