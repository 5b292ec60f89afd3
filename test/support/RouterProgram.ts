import { writeFile } from "node:fs/promises"
import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import OpenAI from "openai"
import { eventually } from "./Eventually.ts"
import { rowsOf, signingSecret, tokenOf } from "./Gravitas.ts"
import { type GuardianDouble, guardianDouble } from "./GuardianDouble.ts"
import { type Program, program } from "./Program.ts"
import { temporaryHome } from "./TemporaryHome.ts"
import { migratedDatabase } from "./TestDatabase.ts"

/** Gatekeeper and router in a real process, with a guardian that says what it is told to. */
export class RouterProgram extends Context.Tag("test/RouterProgram")<
  RouterProgram,
  {
    readonly program: Program
    readonly databaseUrl: Redacted.Redacted
    readonly router: string
    readonly guardian: GuardianDouble
  }
>() {
  static readonly layer = (options: {
    readonly models: string
    readonly policy?: string
    readonly environment?: Readonly<Record<string, string>>
  }) => Layer.scoped(RouterProgram, make(options))
}

const make = (options: {
  readonly models: string
  readonly policy?: string
  readonly environment?: Readonly<Record<string, string>>
}) =>
  Effect.gen(function* () {
    const databaseUrl = yield* migratedDatabase
    const guardian = yield* guardianDouble
    const directory = yield* temporaryHome
    const models = Path.join(directory, "models.yaml")
    const policy = Path.join(directory, "policy.yaml")
    yield* Effect.promise(() => writeFile(models, options.models))
    if (options.policy !== undefined) {
      const text = options.policy
      yield* Effect.promise(() => writeFile(policy, text))
    }
    const running = yield* program({
      directory,
      args: ["gatekeeper", "router"],
      environment: {
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        GUARDIAN_URL: guardian.url,
        ROUTER_MODELS_PATH: models,
        ...(options.policy === undefined ? {} : { ACCESS_POLICY_PATH: policy }),
        ...options.environment
      }
    })
    return { program: running, databaseUrl, guardian, router: yield* running.url("router") }
  })

/** The official client, unmodified, in the name of a ghost. It is told not to try again, so that a test sees each answer. */
export const clientOf = (ghost: string) =>
  Effect.gen(function* () {
    const { router } = yield* RouterProgram
    const apiKey = yield* Effect.promise(() => tokenOf(ghost))
    return new OpenAI({ baseURL: `${router}/v1`, apiKey, maxRetries: 0 })
  })

/** The rows of a request in the trail, once `until` holds for them. */
export const trailOf = (
  requestId: string,
  until: (actions: ReadonlyArray<unknown>, ids: ReadonlyArray<unknown>) => boolean
) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* RouterProgram
    return yield* eventually(
      rowsOf(databaseUrl, "select * from gatekeeper.audit_log where request_id = $1 order by source, seq", [requestId]),
      (rows) =>
        until(
          rows.map((row) => row["action"]),
          rows.map((row) => row["id"])
        ),
      patience
    )
  })

export const historyOf = (requestId: string, count: number) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* RouterProgram
    return yield* eventually(
      rowsOf(databaseUrl, "select * from router.history where request_id = $1 order by id", [requestId]),
      (rows) => rows.length >= count,
      patience
    )
  })

const patience = { every: "50 millis", within: "30 seconds" } as const
