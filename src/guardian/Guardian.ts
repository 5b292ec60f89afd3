import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Migrator from "../migrator/Migrator.ts"
import { schemaProbe } from "../migrator/SchemaProbe.ts"
import { SchemaVersion } from "../migrator/SchemaVersion.ts"
import { serve } from "../platform/http/HttpServer.ts"
import { routesOf } from "../platform/http/Strays.ts"
import { GuardianApi } from "./Api.ts"
import { handlers } from "./Http.ts"

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const version = yield* SchemaVersion.guardian
    const state = yield* schemaProbe(version)
    // It needs its tables to answer anything.
    const report = Effect.map(state, (now) => ({ ...now, canAnswer: now.databaseAnswers && now.schemaStands }))
    return serve("guardian", routesOf(GuardianApi), version.expected).pipe(Layer.provide(handlers(report)))
  })
)

/** The guardian: its schema at head, then its port. */
export const layer = Layer.fresh(server).pipe(Layer.provide(Migrator.layer("guardian")))
