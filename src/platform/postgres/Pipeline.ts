import Pg from "pg"

/** A query of a pipeline. A number reaches the server as its text. */
export interface SentQuery {
  readonly text: string
  readonly values?: ReadonlyArray<string | number | null>
  /** Whether the server sends its answer at once; otherwise it may keep it until the last is done. */
  readonly flush?: boolean
}

/** A result as the driver makes it. */
export interface DriverResult {
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly rowCount: number | null
}

interface PipelineEvents {
  /** A query is done. */
  readonly answered: (result: DriverResult) => void
  /** The server is ready for other queries, or a query failed and those behind it were skipped. */
  readonly ended: (failure?: { readonly cause: unknown }) => void
}

/**
 * Queries of the extended protocol with one Sync behind the last of them: after an error the server skips what is before the Sync.
 */
class PipelineQuery extends Pg.Query {
  private hasFailed = false

  constructor(
    private readonly queries: ReadonlyArray<SentQuery>,
    private readonly events: PipelineEvents
  ) {
    super("")
  }

  override readonly submit = (wire: Pg.Connection): void => {
    wire.stream.cork()
    for (const { flush = false, text, values = [] } of this.queries) {
      wire.parse({ name: "", text, types: [] }, true)
      wire.bind({ values: values.map((value) => (value === null ? null : String(value))) }, true)
      wire.describe({ type: "P", name: "" }, true)
      wire.execute({}, true)
      if (flush) wire.flush()
    }
    wire.sync()
    wire.stream.uncork()
  }

  override handleCommandComplete(message: object, wire: Pg.Connection): void {
    super.handleCommandComplete(message, wire)
    this.events.answered(this._result)
  }

  override handleError(cause: unknown): void {
    if (this.hasFailed) return
    this.hasFailed = true
    this.events.ended({ cause })
  }

  override handleReadyForQuery(): void {
    if (!this.hasFailed) this.events.ended()
  }
}

/** Sends `queries` as one pipeline. `answered` receives each result; rejects with the server's error. */
export const sendPipeline = (
  client: Pg.Client,
  queries: ReadonlyArray<SentQuery>,
  answered: (result: DriverResult) => void
): Promise<void> =>
  new Promise((resolve, reject) => {
    const ended: PipelineEvents["ended"] = (failure) => (failure === undefined ? resolve() : reject(failure.cause))
    client.query(new PipelineQuery(queries, { answered, ended }))
  })
