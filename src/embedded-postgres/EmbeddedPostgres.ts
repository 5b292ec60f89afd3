import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Binaries from "./Binaries.ts"
import * as Cluster from "./Cluster.ts"
import * as ConnectionFile from "./ConnectionFile.ts"
import * as DataLocation from "./DataLocation.ts"
import { launch } from "./Launch.ts"
import { adoptOrStop } from "./OrphanedServer.ts"
import { type Postmaster, stopPostmaster } from "./Postmaster.ts"
import * as ServerOwnership from "./ServerOwnership.ts"
import * as SocketDirectory from "./SocketDirectory.ts"

interface EmbeddedPostgresOptions extends DataLocation.DataLocationOptions {
  /** False: a server, the only one of its home. True: a command, which joins the PostgreSQL of a running server. */
  readonly join: boolean
  /** `EMBEDDED_POSTGRES_PORT`: also listens there on the loopback address, for other programs. */
  readonly tcpPort?: Option.Option<number>
  /** Whether it listens on the loopback address instead of a Unix socket; default on Windows, where Node knows no such sockets. */
  readonly loopback?: boolean
  /** Further settings of PostgreSQL; `fsync` off also makes the cluster without syncing. */
  readonly settings?: Readonly<Record<string, string>>
  /** For PostgreSQL to answer after its start, or an orphaned one to recover; default 60 s. */
  readonly startDeadline?: Duration.DurationInput
  /** For a fast shutdown, before an immediate one; default 10 s. */
  readonly stopPatience?: Duration.DurationInput
  /** For another process to leave the home; default 10 s for a server, 60 s for a command. */
  readonly turnPatience?: Duration.DurationInput
}

export type EmbeddedPostgresUnavailable =
  | Binaries.PostgresBinariesMissing
  | Cluster.ClusterUnusable
  | DataLocation.NoPlaceForPostgres
  | ServerOwnership.HomeInUse

/** What a process knows about its PostgreSQL. */
interface EmbeddedPostgresValues {
  /** Database and role `gravitas`, with its password. */
  readonly url: Redacted.Redacted
  /** As the server reports it: "18.4". */
  readonly version: string
  readonly address: ConnectionFile.ServerAddress
  readonly dataDirectory: string
  /** Where PostgreSQL's programs are. */
  readonly binaries: string
  /** Started, or adopted from a killed process: it stops with this process. Joined: it belongs to a server, which may stop. */
  readonly ownership: "started" | "joined"
  /** For the user: the account it runs as, and its directory if that is not the home. */
  readonly notes: ReadonlyArray<string>
}

/** The password of existing data, or of a cluster that it makes. */
const openCluster = Effect.fnUntraced(function* (
  place: DataLocation.DataLocation,
  binaries: Effect.Effect<Binaries.Binaries, DataLocation.NoPlaceForPostgres>,
  durable: boolean
) {
  const unusable = (reason: string) => new Cluster.ClusterUnusable({ directory: place.data, reason, log: [] })
  const asUnusable = Effect.mapError((cause: ConnectionFile.ConnectionFileUnusable) => unusable(cause.message))
  const kept = yield* asUnusable(ConnectionFile.read(place.directory))
  // An unfinished data directory has another name.
  if (yield* Effect.promise(() => DataLocation.exists(place.data))) {
    if (Option.isSome(kept)) return kept.value
    return yield* unusable(`its password file, ${place.directory}/connection.json, is missing`)
  }
  // Before the data: a cluster must never exist without its password.
  const file = { home: place.home, password: yield* ConnectionFile.newPassword, host: "", port: null }
  yield* asUnusable(ConnectionFile.write(place.directory, file))
  yield* Effect.logInfo(`Making a new PostgreSQL cluster in ${place.data}`)
  yield* Cluster.make({
    binaries: yield* binaries,
    data: place.data,
    password: file.password,
    account: place.account,
    durable
  })
  return file
})

/** Requires the home's lock. Adopts the PostgreSQL of a killed process, else starts one. */
const lead = Effect.fnUntraced(function* (
  place: DataLocation.DataLocation,
  lock: ServerOwnership.HomeLock,
  options: EmbeddedPostgresOptions
) {
  const startDeadline = Duration.decode(options.startDeadline ?? "60 seconds")
  const stopPatience = Duration.decode(options.stopPatience ?? "10 seconds")
  const settings = options.settings ?? {}
  const packaged = yield* Binaries.locate()
  const binaries = Binaries.install(packaged, place)

  const file = yield* openCluster(place, binaries, settings["fsync"] !== "off")
  const tcpPort = Option.getOrNull(options.tcpPort ?? Option.none())
  const loopback = options.loopback ?? process.platform === "win32"
  const host = loopback ? "127.0.0.1" : yield* SocketDirectory.find(place, file)
  // On the loopback address alone any free port will do.
  const wanted = {
    address: loopback && tcpPort === null ? null : { host, port: tcpPort ?? ConnectionFile.standardPort },
    tcp: loopback || tcpPort !== null
  }
  const left = yield* adoptOrStop({
    data: place.data,
    wanted,
    password: file.password,
    patience: startDeadline,
    stopPatience
  })
  const { address, version, notes } = yield* Option.match(left, {
    onSome: ({ address, postmaster, version }) =>
      Effect.as(
        Effect.acquireRelease(Effect.succeed(postmaster), (adopted: Postmaster) =>
          stopPostmaster(adopted, stopPatience)
        ),
        {
          address,
          version,
          notes: [`took over the PostgreSQL (pid ${postmaster.pid}) of a process that was killed`]
        }
      ),
    onNone: () =>
      Effect.flatMap(binaries, (installed) =>
        Cluster.requireSameMajor(place.data, packaged.version).pipe(
          Effect.zipRight(
            launch({
              binaries: installed,
              data: place.data,
              account: place.account,
              logFile: Path.join(place.directory, "postgres.log"),
              settings,
              ...wanted,
              lastPort: file.port,
              password: file.password,
              startDeadline,
              stopPatience
            })
          ),
          Effect.map((started) => ({ ...started, notes: [] }))
        )
      )
  })
  const { port } = address
  if (port !== file.port || address.host !== file.host || place.home !== file.home) {
    yield* ConnectionFile.write(place.directory, { ...file, home: place.home, host: address.host, port }).pipe(
      Effect.mapError(({ message }) => new Cluster.ClusterUnusable({ directory: place.data, reason: message, log: [] }))
    )
  }
  yield* lock.report("running", port)
  // Added last, so it runs first: another process now waits for this one instead of being refused.
  yield* Effect.addFinalizer(() => lock.report("stopping", port))
  return { url: ConnectionFile.urlOf(file.password, address, Cluster.roleName), version, address, notes }
})

const open = (
  options: EmbeddedPostgresOptions
): Effect.Effect<EmbeddedPostgresValues, EmbeddedPostgresUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const place = yield* DataLocation.find(options)
    const patience = Duration.decode(options.turnPatience ?? (options.join ? "60 seconds" : "10 seconds"))
    const ownership = yield* ServerOwnership.takeOwnership(place, options.join ? "command" : "server", patience)
    const where = { dataDirectory: place.data, binaries: Binaries.binariesIn(place) }
    if (ownership._tag === "Joined") {
      const { address, file, holder, version } = ownership
      return {
        ...where,
        url: ConnectionFile.urlOf(file.password, address, Cluster.roleName),
        version,
        address,
        ownership: "joined" as const,
        notes: [`uses the PostgreSQL of the running server (pid ${holder.pid})`]
      }
    }
    const led = yield* lead(place, ownership.lock, options)
    return { ...where, ...led, ownership: "started" as const, notes: [...place.notes, ...led.notes] }
  }).pipe(Effect.withSpan("EmbeddedPostgres.open"))

/**
 * A real PostgreSQL under `GRAVITAS_HOME`, for a machine that has none.
 *
 * One process at a time runs it, under a lock that dies with the process. The layer belongs outermost, so that it stops
 * after everything that uses the database. Its server runs in a session of its own, so a Ctrl-C does not reach it. If this
 * process is killed, the server goes on, and the next start adopts it.
 */
export class EmbeddedPostgres extends Context.Tag("embedded-postgres/EmbeddedPostgres")<
  EmbeddedPostgres,
  EmbeddedPostgresValues
>() {
  static readonly layer = (
    options: EmbeddedPostgresOptions
  ): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresUnavailable> => Layer.scoped(EmbeddedPostgres, open(options))
}
