import type Pg from "pg"

/** A statement that the server only parses: the messages Parse and Sync, without Bind and Execute. */
class ParseQuery implements Pg.Submittable {
  private failure: { readonly cause: unknown } | undefined

  constructor(
    private readonly text: string,
    private readonly done: (failure?: { readonly cause: unknown }) => void
  ) {}

  submit(wire: Pg.Connection): void {
    wire.stream.cork()
    wire.parse({ text: this.text, name: "", types: [] }, true)
    wire.sync()
    wire.stream.uncork()
  }

  handleError(cause: unknown): void {
    this.failure = { cause }
    this.done(this.failure)
  }

  handleReadyForQuery(): void {
    if (this.failure === undefined) this.done()
  }

  // Callbacks that the driver requires; nothing is run.
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}
  handlePortalSuspended(): void {}
}

/** Sends `text`, one statement, to be parsed only. Rejects with the server's error. */
export const parseOnly = (client: Pg.Client, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    client.query(new ParseQuery(text, (failure) => (failure === undefined ? resolve() : reject(failure.cause))))
  })
