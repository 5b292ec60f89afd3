import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type Pg from "pg"
import { AuthenticatedClient, DatabaseAuth } from "./AuthenticatedClient.ts"
import { copyFromStdin } from "./CopyQuery.ts"
import { DatabaseError, databaseError } from "./DatabaseError.ts"
import { type Noticed, routeNotices } from "./NoticeRoute.ts"
import { parseOnly } from "./ParseQuery.ts"
import { type DriverResult, type SentQuery, sendPipeline } from "./Pipeline.ts"
import type { ServerNotice } from "./ServerNotice.ts"
import { bounded, destroyed, destroySocket, type Session, timedOut } from "./SessionRequest.ts"

export type Row = Readonly<Record<string, unknown>>

export interface QueryResult {
  readonly rows: ReadonlyArray<Row>
  readonly rowCount: number
}

/** The error of one of several queries. */
export interface QueryFailed {
  /** Its place among them, from 0; -1 for what was sent before them. */
  readonly index: number
  readonly cause: DatabaseError
  /** The answers to those before it. */
  readonly answers: ReadonlyArray<QueryResult>
}

/**
 * One PostgreSQL session, ours alone, for work that must not share or wait for ever: the audit drain and the migrator.
 *
 * The stock `sql.withTransaction` runs BEGIN and COMMIT uninterruptibly and turns their errors into defects, so a stopped
 * server would hang its caller. Here each statement has a deadline on our side; when it passes the socket is destroyed,
 * the error is typed, and the session is over (`isOpen` is false): its owner opens another.
 */
export interface Connection {
  readonly backendPid: number
  readonly isOpen: () => boolean
  /**
   * `deadline` null waits for ever; left out, the session's default holds. Interruption cancels the statement in the server.
   * `noticed` receives what the server says beside the answer.
   */
  readonly query: (
    text: string,
    values?: ReadonlyArray<unknown>,
    options?: { readonly deadline?: Duration.DurationInput | null; readonly noticed?: Noticed }
  ) => Effect.Effect<QueryResult, DatabaseError>
  /**
   * Sends queries at once, as one pipeline of the extended protocol: after an error the server skips those behind it. Statements in
   * `before` are sent ahead of them and are outside the pipeline, which runs also if they fail. `deadline` bounds all of it.
   * Interruption cancels what runs. Needs a `pipelined` session. COPY would read the next query as its data.
   */
  readonly send: (
    queries: ReadonlyArray<SentQuery>,
    options?: {
      readonly before?: string
      readonly deadline?: Duration.DurationInput | null
      /** Receives how many queries are done. */
      readonly answered?: (count: number) => void
      /** Receives the notices of the query with that index. */
      readonly noticed?: (notice: ServerNotice, index: number) => void
    }
  ) => Effect.Effect<ReadonlyArray<QueryResult>, QueryFailed>
  /**
   * Runs `text`, which holds one `copy … from stdin` and may hold other statements before and after it, with `data` in COPY's text
   * format. The data are sent with the text, without a wait for the server. A piece is made when it is sent.
   */
  readonly copyIn: (text: string, data: string | ReadonlyArray<() => string>) => Effect.Effect<void, DatabaseError>
  /** Asks the server to parse `text`, one statement, and to do nothing else. Not on a `pipelined` session. */
  readonly parse: (text: string) => Effect.Effect<void, DatabaseError>
  /**
   * BEGIN, the body, COMMIT; ROLLBACK on failure or interruption. An error at COMMIT has phase `commit`; without a sqlstate
   * its outcome is unknown. A body that goes on after a failed statement ends so too (25P02): nothing of it was kept.
   *
   * With `begun` the body's first message starts with `begin;` itself, which saves a round trip. It has no parameters
   * then: only a simple query holds several statements.
   */
  readonly transaction: <A, E, R>(
    body: Effect.Effect<A, E, R>,
    options?: {
      readonly begun?: boolean
      /** Receives the notices of COMMIT, which runs deferred triggers. */
      readonly noticed?: Noticed
    }
  ) => Effect.Effect<A, E | DatabaseError, R>
  /** Ends the session at once by destroying its socket. */
  readonly destroy: Effect.Effect<void>
}

export interface ConnectOptions {
  readonly url: Redacted.Redacted
  /** Shown in `pg_stat_activity`: how others see who holds a lock. At most 63 bytes. */
  readonly applicationName: string
  readonly connectTimeout?: Duration.DurationInput
  /** Of one statement; default 30 s. */
  readonly deadline?: Duration.DurationInput
  /** Whether `send` may be used; such a session has no `copyIn`. */
  readonly pipelined?: boolean
}

const rolledBack = new DatabaseError({
  phase: "commit",
  reason: "the transaction was rolled back instead of committed, since a statement in it had failed",
  sqlstate: "25P02"
})

type NewClient = Effect.Effect<Pg.Client, DatabaseError>

const openSession = (newClient: NewClient, connectTimeout: Duration.Duration) =>
  Effect.acquireRelease(
    Effect.flatMap(newClient, (client) => {
      const session: Session = { client, open: false }
      const ended = () => {
        session.open = false
      }
      // Without a listener an idle connection's loss would be an uncaught 'error' and end the process.
      client.on("error", ended)
      client.on("end", ended)
      return Effect.tryPromise({
        try: () =>
          client.connect().then(() => {
            session.open = true
          }),
        catch: (cause) => databaseError("connect", cause)
      }).pipe(
        // pg's own timeout ends only the handshake; DNS and a half-open socket are bounded here.
        Effect.timeoutFail({
          duration: Duration.sum(connectTimeout, Duration.millis(500)),
          onTimeout: () => timedOut("connect", connectTimeout)
        }),
        Effect.interruptible,
        // Outside the interruptible part, so that a session opened as the interruption arrives is not left behind.
        Effect.onError(() => destroyed(session)),
        Effect.as(session)
      )
    }),
    (session) =>
      Effect.promise(() => (session.open ? session.client.end() : Promise.resolve())).pipe(
        Effect.interruptible,
        Effect.timeoutOption("1 second"),
        Effect.catchAllCause(() => Effect.void),
        Effect.zipRight(destroyed(session))
      )
  )

/** Asks the server, on a session of its own, to cancel what the session of `backendPid` runs. */
const cancelQuery = (newClient: NewClient, backendPid: number): Effect.Effect<void> =>
  Effect.acquireUseRelease(
    newClient,
    (other) => {
      other.on("error", () => {})
      return Effect.tryPromise(async () => {
        await other.connect()
        await other.query("select pg_catalog.pg_cancel_backend($1)", [backendPid])
      }).pipe(Effect.interruptible)
    },
    (other) => Effect.sync(() => destroySocket(other))
  ).pipe(Effect.ignore)

const clientOf = (options: ConnectOptions, connectTimeout: Duration.Duration): Effect.Effect<NewClient> =>
  Effect.map(DatabaseAuth, ({ md5 }) =>
    Effect.try({
      try: () => {
        const client = new AuthenticatedClient({
          md5,
          connectionString: Redacted.value(options.url),
          application_name: options.applicationName.slice(0, 63),
          connectionTimeoutMillis: Duration.toMillis(connectTimeout),
          keepAlive: true,
          pipeline: options.pipelined === true
        })
        // The deadlines here take its place. The driver's timer would end a statement without a deadline, and outlive those of
        // `send`, `copyIn` and `parse`.
        client.connectionParameters.query_timeout = false
        return client
      },
      // The driver reads the certificates that the connection string names.
      catch: (cause) => databaseError("connect", cause)
    })
  )

/** Runs transactions on a session. `commit` sends COMMIT. */
const transactionOn =
  (
    session: Session,
    query: Connection["query"],
    destroy: Effect.Effect<void>,
    commit: (noticed: Noticed | undefined) => Effect.Effect<{ readonly command: string }, DatabaseError>
  ): Connection["transaction"] =>
  (body, options) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        if (options?.begun !== true) {
          // Interrupted here, it is unknown whether the transaction is open: close the session, which undoes its effects.
          yield* restore(query("begin")).pipe(Effect.onInterrupt(() => destroy))
        }
        const exit = yield* Effect.exit(restore(body))
        if (Exit.isFailure(exit)) {
          // Harmless if the body did not reach its own BEGIN. If it fails, the state of the session is unknown.
          yield* query("rollback", undefined, { deadline: "5 seconds" }).pipe(Effect.catchAll(() => destroy))
          return yield* exit
        }
        if (session.open && session.client.getTransactionStatus() === "I") {
          return yield* Effect.dieMessage("the body of a transaction did not begin it, or ended it")
        }
        const end = yield* restore(commit(options?.noticed)).pipe(Effect.onInterrupt(() => destroy))
        // PostgreSQL answers COMMIT with ROLLBACK, without an error, if the body caught the error of a statement.
        if (end.command === "ROLLBACK") return yield* rolledBack
        return exit.value
      })
    )

/** Opens a session that lives as long as the scope. Fails with phase `connect`; does not retry. */
export const connect = (options: ConnectOptions): Effect.Effect<Connection, DatabaseError, Scope.Scope> =>
  Effect.gen(function* () {
    const connectTimeout = Duration.decode(options.connectTimeout ?? "5 seconds")
    const defaultDeadline = options.deadline ?? "30 seconds"
    const newClient = yield* clientOf(options, connectTimeout)
    const session = yield* openSession(newClient, connectTimeout)
    const { client } = session
    const destroy = destroyed(session)
    const backendPid = Number(Reflect.get(client, "processID"))
    const cancel = cancelQuery(newClient, backendPid)

    const notices = routeNotices(client)
    const ask = async (text: string, values?: ReadonlyArray<unknown>, noticed?: Noticed): Promise<QueryResult> => {
      notices.submit(noticed)
      const result = await (values === undefined ? client.query(text) : client.query(text, [...values]))
      const last = Array.isArray(result) ? result[result.length - 1] : result
      return { rows: last?.rows ?? [], rowCount: last?.rowCount ?? 0 }
    }
    const query: Connection["query"] = (text, values, { deadline = defaultDeadline, noticed } = {}) =>
      bounded(session, cancel, "statement", deadline, () => ask(text, values, noticed))

    return {
      backendPid,
      isOpen: () => session.open,
      query,
      send: (queries, { answered, before, deadline = defaultDeadline, noticed } = {}) =>
        Effect.suspend(() => {
          const answers: Array<QueryResult> = []
          let hasBegun = before === undefined
          const add = ({ rowCount, rows }: DriverResult) => {
            answers.push({ rows, rowCount: rowCount ?? 0 })
            answered?.(answers.length)
          }
          const all = bounded(session, cancel, "statement", deadline, async () => {
            const { stream } = client.connection
            stream.cork()
            const prepared = before === undefined ? undefined : ask(before)
            notices.submit(noticed && ((notice) => noticed(notice, answers.length)))
            const sent = sendPipeline(client, queries, add)
            stream.uncork()
            // Where what is before it fails, nothing awaits it.
            sent.catch(() => {})
            await prepared
            hasBegun = true
            await sent
            return answers
          })
          return Effect.mapError(all, (cause) => ({ cause, index: hasBegun ? answers.length : -1, answers }))
        }),
      copyIn: (text, data) =>
        bounded(session, cancel, "statement", defaultDeadline, () => {
          notices.submit(undefined)
          return copyFromStdin(client, text, typeof data === "string" ? [() => data] : data)
        }),
      parse: (text) =>
        bounded(session, cancel, "statement", defaultDeadline, () => {
          notices.submit(undefined)
          return parseOnly(client, text)
        }),
      transaction: transactionOn(session, query, destroy, (noticed) =>
        bounded(session, cancel, "commit", defaultDeadline, () => {
          notices.submit(noticed)
          return client.query("commit")
        })
      ),
      destroy
    }
  })
