import * as Layer from "effect/Layer"
import type { ServiceName } from "../domain/Service.ts"
import * as Gatekeeper from "../gatekeeper/Gatekeeper.ts"
import { SigningKeys } from "../guardian/certificates/SigningKeys.ts"
import * as Guardian from "../guardian/Guardian.ts"
import { Models } from "../router/models/ModelsFile.ts"
import * as Router from "../router/Router.ts"
import { schemas } from "./Schemas.ts"

/** What the program runs, by service. Names, start order and default ports are in domain/Service.ts. */
const services = {
  gatekeeper: {
    /** Its workers and its port. */
    server: Gatekeeper.layer,
    schema: Layer.discard(schemas.gatekeeper.layer),
    /** What can be refused without the database, so that no migration is cut off for it. */
    files: Layer.empty
  },
  guardian: {
    server: Guardian.layer,
    schema: Layer.discard(schemas.guardian.layer),
    files: Layer.discard(SigningKeys.layer)
  },
  router: {
    server: Router.layer,
    schema: Layer.discard(schemas.router.layer),
    files: Layer.discard(Models.layer)
  }
} as const satisfies Record<ServiceName, Readonly<Record<"server" | "schema" | "files", Layer.Layer.Any>>>

type Service = (typeof services)[ServiceName]

type Join<L extends Layer.Layer.Any> = Layer.Layer<never, Layer.Layer.Error<L>, Layer.Layer.Context<L>>

type Server = Join<Service["server"]>
type Schemas = Join<Service["schema"]>
type Files = Join<Service["files"]>

/** Builds each service after those that it calls; so they end in the order router, guardian, gatekeeper. */
export const serversOf = (names: ReadonlyArray<ServiceName>) =>
  names
    .map((name): Server => services[name].server)
    .reduce<Server>((before, server) => Layer.provide(server, before), Layer.empty)

/**
 * Migrates every schema and reads keys and models before the first port opens: a process whose start fails has answered no
 * request. The gatekeeper reads its policy and keys before its own port, which opens first.
 */
export const preparationsOf = (names: ReadonlyArray<ServiceName>) => {
  const files = names
    .map((name): Files => services[name].files)
    .reduce<Files>((all, one) => Layer.merge(one, all), Layer.empty)
  const schemas = names
    .map((name): Schemas => services[name].schema)
    .reduce<Schemas>((all, one) => Layer.merge(one, all), Layer.empty)
  return Layer.provide(schemas, files)
}
